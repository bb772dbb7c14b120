"""Sub-ledgers of items: what a running total cannot count without knowing which items it has seen."""

"""From events to tiles to ledgers and balances: what is missing is computed and committed."""

"""HOW: tiles, ledgers and balances, the as-of search, retrieval and materialization."""

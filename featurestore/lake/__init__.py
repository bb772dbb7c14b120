"""WHERE: a store's directories, atomic commits, ingest, quarantine and the locked-down DuckDB session."""

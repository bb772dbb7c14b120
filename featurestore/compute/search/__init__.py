"""The as-of search and what it reads: sorted rows, ranges of rows, memory-mapped copies, hashes of rows."""

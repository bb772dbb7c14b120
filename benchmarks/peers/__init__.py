"""Peers: other tools, each in its own virtual environment, asked what the store is asked.

environments.py   makes the environments from pinned names and versions, or says why one cannot be made
asking.py         a question to a peer's process, in bounded time, and what came of it
comparison.py     an answer beside ours, row for row
answers/          one script per peer, run by the peer's Python; they import nothing of ours
"""

from __future__ import annotations

from benchmarks.peers.asking import Answer, Peer, ask_peer, ask_script

DUCKDB_RANGE = Peer("DuckDB range join over events", "duckdb", "duckdb_range.py", "events")
DUCKDB_ASOF = Peer("DuckDB ASOF JOIN over running totals", "duckdb", "duckdb_asof.py", "totals")
POLARS_ASOF = Peer("Polars join_asof over running totals", "polars", "polars_asof.py", "totals")
POLARS_ROLLING = Peer("Polars rolling_sum_by over daily sums", "polars", "polars_rolling.py", "sums")
TEMPORIAN = Peer("Temporian moving_sum over daily sums", "temporian", "temporian_moving.py", "sums")

__all__ = [
    "DUCKDB_ASOF",
    "DUCKDB_RANGE",
    "POLARS_ASOF",
    "POLARS_ROLLING",
    "TEMPORIAN",
    "Answer",
    "Peer",
    "ask_peer",
    "ask_script",
]

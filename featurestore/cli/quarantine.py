"""The command that shows which rows were refused, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurestore.cli import screen
from featurestore.cli.opening import open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root
from featurestore.cli.training_files import writable, write_rows

EXAMPLES = 3


def quarantine(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Name of an event source.")],
    examples: Annotated[int, typer.Option("--examples", min=0, help="Rows to show of each reason, the latest.")] = EXAMPLES,
    out: Annotated[Path | None, typer.Option("--out", help="File for all of them: .parquet, .csv, .jsonl, .arrow.")] = None,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Show which rows of a source were refused: how many for each reason, and examples as they came."""
    from featurestore.lake.ingestion.quarantine import count_quarantined

    store = open_store(root)
    if out is not None:
        writable(out)
    shown = store.quarantine(source, max_per_reason=examples).drop_columns(["row_hash"])
    counts = count_quarantined(store.layout, store.registry.sources[source])
    if out is not None:
        write_rows(store.quarantine(source), out)
    if as_json:
        document = {"source": source, "rows": sum(counts.values()), "reasons": counts, "examples": shown}
        screen.show_json(document | ({"out": out} if out else {}))
        return
    screen.say(f"{source}: {sum(counts.values()):,} different rows in quarantine")
    for reason, count in counts.items():
        screen.say(f"\n{count:,} x {screen.printable(reason)}")
        for row in shown.to_pylist():
            if row["reason"] == reason:
                file = row["source_file"] or "a table"
                screen.say(screen.printable(f"  {row['quarantined_at']:%Y-%m-%d %H:%M} {file}: {row['row']}"))
    if out is not None:
        screen.say(f"\n{out}: {sum(counts.values()):,} rows")

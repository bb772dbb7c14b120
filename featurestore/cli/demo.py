"""The demo: ten years in one command. The only command that needs Dagster and Evidently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurestore.cli import screen
from featurestore.cli.demo_screen import show_result
from featurestore.cli.options import Json
from featurestore.datasets import NAMES
from featurestore.errors import DefinitionError, MissingExtraError, did_you_mean, how_to_install

if TYPE_CHECKING:
    from featurestore_pipelines.demo import StageEnd

SHOP = "shop"
EVENTS = 10_000_000
STOPPED = 130
"""The exit code of what Ctrl-C has ended."""
EXTRA_OF = {"dagster": "pipelines", "evidently": "drift", "pandas": "drift", "matplotlib": "drift", "scipy": "drift"}


def demo(
    data: Annotated[str, typer.Option("--data", help=f"What to run on: {', '.join((SHOP, *NAMES))}.")] = SHOP,
    root: Annotated[Path | None, typer.Option("--root", help="The store's directory; data/NAME by default.")] = None,
    events: Annotated[
        int | None, typer.Option("--events", min=1, help=f"Size of the made-up shop; {EVENTS:,} by default.")
    ] = None,
    months: Annotated[
        str | None, typer.Option("--months", help="Only these, both included, such as 2015-11:2016-10; all by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the whole path: ingest, features, a training set, the drift audit of all months, a recalibration."""
    if data not in (SHOP, *NAMES):
        raise DefinitionError(f"There is no demo on {data!r}.{did_you_mean(data, (SHOP, *NAMES))}")
    if events is not None and data != SHOP:
        raise DefinitionError(f"--events sizes the made-up shop; {data} is as large as it is. Leave it out.")
    place = root or Path("data") / data
    is_watched = screen.is_watched()
    run_demo = _load_demo()
    if not is_watched:
        screen.note(f"The demo on {data}, in {place}: a line for each stage that has ended.")
    with showing_stages() as progress:
        on_end = None if is_watched else show_end
        try:
            sizes = {"events": events or EVENTS, "months": months}
            result = run_demo(place, data=data, **sizes, progress=progress, on_end=on_end)
        except KeyboardInterrupt:
            screen.note("Stopped. What is committed stays; the same command goes on from there.")
            raise typer.Exit(STOPPED) from None
    screen.show_json(result) if as_json else show_result(result)


def _load_demo() -> Callable[..., Any]:
    try:
        from featurestore_pipelines.demo import run_demo
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        raise MissingExtraError(
            f"The demo needs {package}, which is not installed. {how_to_install('pipelines', 'drift', 'realdata')}"
        ) from error
    return run_demo


def show_end(ended: StageEnd) -> None:
    """Write a line for a stage that has ended."""
    what = "events" if ended.stage == "events" else "rows"
    counted = "" if ended.rows is None else f"{ended.rows:>12,} {what}"
    screen.note_end(ended.stage, of=ended.months, elapsed_s=ended.elapsed_s, counted=counted)


@contextmanager
def showing_stages() -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar per stage on stderr while the block runs; nothing when stderr is no terminal.

    Yields:
        A function to call with stage, units done and units in all.
    """
    with screen.progress_bar() as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total, unit="")
            bar.update(tasks[stage], completed=done, total=total, unit=f"of {total:,}")

        yield show

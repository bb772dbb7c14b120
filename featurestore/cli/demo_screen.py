"""The demo's last screen: what was measured in the run, and where to go from here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.cli.options import DEFAULT_ROOT
from featurestore.cli.screen import say, show_table

if TYPE_CHECKING:
    from featurestore_pipelines.demo import DemoResult, PlantedOutcome, ProbabilityError, Recalibration


def show_result(result: DemoResult) -> None:
    """Write the last screen to stdout."""
    say(f"\n{result.data}, {result.first_month} to {result.last_month}, in {result.elapsed_s:.0f} s: {near(result.root)}")
    show_table("Measured", ("what", "value"), list(measured(result).items()))
    if result.planted:
        finds = sum(outcome.found_month is not None for outcome in result.planted)
        rows = [planted_row(outcome) for outcome in sorted(result.planted, key=lambda outcome: outcome.first_month)]
        show_table("Planted drift against detected drift", ("planted", "until", "kind", "what", "found", "by"), rows)
        say(
            f"{finds} of {len(rows)} found; {result.unplanted_episodes} of {len(result.episodes)} episodes have no planted cause."
        )
    if result.recalibrations:
        columns = ("month", "calibration", "decision", "loss before", "loss after", "better by", "for")
        show_table("Recalibration", columns, recalibration_rows(result.recalibrations))
    if result.return_error:
        say(probability_line(result.return_error))
    say("\nReports")
    for path in (result.timeline, *result.reports):
        say(f"  {near(path)}")
    say("\nNext")
    for command in next_commands(result):
        say(f"  {command}")


def measured(result: DemoResult) -> dict[str, str]:
    """Name the demo's numbers, in words."""
    training = result.training_set
    entities = ", ".join(f"{name} {count:,}" for name, count in result.entities.items())
    stages = ", ".join(f"{stage.stage} {stage.elapsed_s:.0f} s" for stage in result.stages)
    return {
        "events": f"{result.events:,} committed, {result.quarantined:,} quarantined",
        "ingest": f"{result.events_per_s:,.0f} events per second",
        "size": f"{result.bytes_per_event:.1f} bytes per event; the whole store {result.store_bytes / 1e6:,.0f} MB",
        "features": f"{result.features} in {result.views} views ({entities} keys)",
        "training set": f"{training.rows:,} rows x {training.features} features of {training.service} in {training.elapsed_s:.2f} s",
        "drift": f"{result.scores:,} feature-months scored, {len(result.episodes)} entered drift; "
        f"data faults that began in the sources: {len(result.faults)}",
        "time": stages,
        "memory": f"{result.peak_memory_bytes / 2**30:.1f} GiB at most",
    }


def planted_row(outcome: PlantedOutcome) -> tuple[object, ...]:
    """Write a planted change and its find as a row."""
    if outcome.found_month is not None:
        find = f"{outcome.found_month} ({outcome.delay_months:+d})"
    elif not outcome.features:
        find = "repaired by ingest"
    else:
        find = "hidden by an earlier drift" if outcome.is_masked else "not found"
    return outcome.first_month, outcome.last_month, outcome.kind, outcome.name, find, outcome.found_feature


def recalibration_rows(decisions: Sequence[Recalibration]) -> list[tuple[object, ...]]:
    """Write decisions as rows; consumers for which the losses are equal share one."""
    consumers: dict[tuple[object, ...], list[str]] = {}
    for decision in decisions:
        before, after = decision.champion_loss, decision.challenger_loss
        better = f"{100 * (before - after) / before:.1f} %" if before and after is not None else None
        verdict = "promoted" if decision.is_promoted else "rejected"
        losses = (None if loss is None else f"{loss:.4f}" for loss in (before, after))
        shared = consumers.setdefault((str(decision.month), decision.calibration, verdict, *losses, better), [])
        shared += [decision.consumer] if decision.consumer else []
    return [(*row, ", ".join(names) or "the first version") for row, names in consumers.items()]


def probability_line(error: ProbabilityError) -> str:
    """Write how far the return probability is from its truth."""
    change = 100 * (error.champion - error.first) / error.first
    return (
        f"Return probability against its truth, {error.first_month} to {error.last_month}, {error.skus:,} SKUs weighted by units: "
        f"mean absolute error {100 * error.first:.2f} points with the first parameters, {100 * error.champion:.2f} with the "
        f"recalibrated ones ({change:+.1f} %)."
    )


def next_commands(result: DemoResult) -> list[str]:
    """List what to try next on the demo's store."""
    root = near(result.root)
    usual = f"data/{result.data}"
    data = "" if result.data == "shop" else f" DATA={result.data}"
    place = "" if root == usual else f" ROOT={root}"
    option = "" if root == str(DEFAULT_ROOT) else f" --root {root}"
    return [
        f"make ui{data}{place}",
        f"featurestore status{option}",
        f"featurestore audit --month {result.last_month}{option}",
    ]


def near(path: Path) -> str:
    """Write a path relative to the working directory when it lies below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

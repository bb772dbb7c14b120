"""Messages: alerts of the store and failed runs, in the words that people get."""

from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from featurestore.drift.reporting.alert import AnyAlert
from featurestore.drift.reporting.markup import markdown
from featurestore_pipelines.alerting.outbox import Message

NEXT = {
    True: "its process was gone, and Dagster starts it again; there is nothing to do unless no later run of it succeeds",
    False: "mend the cause and launch the run again, which repeats nothing that is committed",
}
"""What becomes of a failed run, by whether Dagster retries it."""


def alert_message(alert: AnyAlert, *, root: Path) -> Message:
    """Write an alert; its name is that of episode or fault, state and month, so each change is told once."""
    title = f"[{root.name}] {alert.state.replace('_', ' ')}: {alert.about} ({alert.month})"
    return Message(alert.name, title, f"{alert.text()}- Store: {markdown(str(root))}\n")


def failure_message(run: dg.DagsterRun, *, steps: Iterable[str], root: Path) -> Message:
    """Write what failed; what an error said stays in Dagster's log, where no secret leaves the house."""
    is_retried = run.tags.get(WILL_RETRY_TAG) == "true"
    month = run.tags.get("dagster/partition") or run.tags.get("dagster/asset_partition_range_end")
    listed = ", ".join(markdown(step) for step in steps) or "before its first step"
    lines = [
        f"**Run failed: {markdown(run.job_name)}**" + (f", {month}" if month else ""),
        f"- Step: {listed}",
        f"- Run: {run.run_id}; its log says why",
        f"- Store: {markdown(str(root))}",
        f"- Next: nothing is lost; {NEXT[is_retried]}",
    ]
    return Message(f"run:{run.run_id}", f"[{root.name}] run failed: {run.job_name}", "\n".join(lines) + "\n", is_urgent=True)

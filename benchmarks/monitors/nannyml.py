"""NannyML's univariate drift with its defaults, asked in an environment of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from benchmarks.monitors.alarms import Alarms, of_months
from benchmarks.monitors.worlds import FIRST_SCORED
from benchmarks.peers.asking import SCRIPTS, run_bounded
from benchmarks.peers.environments import python_of

BOUND_S = 1800.0


class NoAnswerError(RuntimeError):
    """A peer did not answer; the text says why."""


@dataclass(frozen=True)
class Answered:
    """Alarms, and what they cost in the peer's process, its imports and the reading of the rows aside."""

    alarms: dict[str, list[Alarms]]
    cpu_s: float
    peak_bytes: int


def ask(months: Iterable[tuple[date, pa.Table]], *, environments: Path) -> Answered:
    """Hold all scored months against the three years before them, in chunks of a month.

    Args:
        months: First day and rows of each month, in order.
        environments: Folder of the peers' environments.

    Raises:
        NotInstallableError: there is no environment for it here.
        NoAnswerError: it failed, or took too long.
    """
    import pyarrow.parquet as pq

    python = python_of("nannyml", folder=environments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for t, (day, rows) in enumerate(months):
            stamped = rows.append_column("month", pa.array([day] * len(rows), pa.date32()).cast(pa.timestamp("us")))
            pq.write_table(stamped, folder / f"month-{t:03d}.parquet")
        question = {
            "folder": scratch,
            "first_scored": FIRST_SCORED,
            "features": [n for n in rows.column_names if n != "region"],
        }
        (folder / "question.json").write_text(json.dumps(question), encoding="utf-8")
        ended = run_bounded(
            [str(python), str(SCRIPTS / "nannyml_univariate.py"), str(folder / "question.json")], folder, BOUND_S
        )
        if ended is None:
            raise NoAnswerError(f"did not finish in {BOUND_S:.0f} s")
        if ended:
            raise NoAnswerError(f"failed: {ended}")
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return Answered(of_months(answer["alarms"]), answer["cpu_s"], answer["peak_bytes"])

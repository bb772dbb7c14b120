"""A question to a peer: written down, answered by a script in the peer's own Python, compared with our answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.findings import Bench
from benchmarks.isolated import isolated
from benchmarks.law import OFFSET_US
from benchmarks.peers.comparison import compare
from benchmarks.peers.environments import NotInstallableError, python_of
from benchmarks.questions import LONG, MEASURES, length_days, measure_sql
from benchmarks.stores import event_files
from benchmarks.totals import totals_of

SCRIPTS = Path(__file__).parent / "answers"


@dataclass(frozen=True)
class Peer:
    """A tool and how it is asked.

    Args:
        title: In the table.
        environment: Name of its requirements.
        script: In ``answers/``.
        reads: ``events``, ``sums`` or ``totals``: which files it is given.
    """

    title: str
    environment: str
    script: str
    reads: str


@dataclass(frozen=True)
class Answer:
    """What came of a question.

    Args:
        verdict: ``equal``, or in words what was lost, what differs, or why there is no answer.
        cost: Median cost inside the peer's process, imports and the reading of the spine aside; ``None`` without an answer.
        bound_s: The seconds it was given, if it did not finish in them.
    """

    verdict: str
    cost: dict[str, Any] | None = None
    bound_s: float | None = None


def ask_peer(
    bench: Bench,
    peer: Peer,
    store: Path,
    entity: str,
    spine: Path,
    *,
    ours: Path,
    windows: Sequence[str] = LONG,
) -> Answer:
    """Ask a peer for all measures over some windows.

    Args:
        bench: Where environments are, and the time bound.
        peer: Whom.
        store: Whose events.
        entity: ``user`` or ``sku``.
        spine: Parquet file with row, key, as_of and floor_day.
        ours: File of our answer to the same question; it may have more features.
        windows: Lengths.
    """
    files = event_files(store)
    if peer.reads != "events":
        files = sorted(str(file) for file in totals_of(store, entity).glob(f"{peer.reads}*.parquet"))
    question = {
        "features": [f"{measure}_{window}" for measure in MEASURES for window in windows],
        "key": f"{entity}_id",
        "spine": str(spine),
        "files": files,
        "windows": {window: length_days(window) for window in windows},
        "measures": {measure: measure_sql(measure) for measure in MEASURES},
        "offset_us": OFFSET_US,
    }
    return ask_script(bench, peer, question, ours=ours, prefix=f"{entity}__")


def ask_script(bench: Bench, peer: Peer, question: dict[str, Any], *, ours: Path, prefix: str) -> Answer:
    """Run a peer's script on a question; ``prefix`` is what our columns have before the peer's."""
    try:
        python = python_of(peer.environment, folder=bench.data / "peers")
    except NotInstallableError as error:
        return Answer(f"not installable: {error}")
    with tempfile.TemporaryDirectory(dir=bench.data) as folder:
        written = Path(folder) / "question.json"
        written.write_text(json.dumps({**question, "out": folder}), encoding="utf-8")
        ended = run_bounded([str(python), str(SCRIPTS / peer.script), str(written)], Path(folder), bench.size.peer_bound_s)
        if ended is None:
            return Answer(f"did not finish in {bench.size.peer_bound_s:.0f} s", bound_s=bench.size.peer_bound_s)
        if ended:
            return Answer(f"failed: {ended}")
        cost = json.loads((Path(folder) / "cost.json").read_text(encoding="utf-8"))
        theirs = Path(folder) / "answer.parquet"
        asked = {"spine": question["spine"], "prefix": prefix, "features": question["features"]}
        return Answer(isolated(compare, ours=ours, theirs=theirs, **asked), cost)


def run_bounded(command: list[str], folder: Path, bound_s: float) -> str | None:
    """Run a script -> nothing, the last line of its error, or ``None`` when it had to be stopped."""
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore", "DO_NOT_TRACK": "1", "FEAST_USAGE": "False"}
    process = subprocess.Popen(
        command, cwd=folder, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, errors = process.communicate(timeout=bound_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    lines = [line for line in errors.splitlines() if line.strip()]
    if process.returncode == 0:
        return ""
    return lines[-1][:200] if lines else f"ended with {process.returncode}"

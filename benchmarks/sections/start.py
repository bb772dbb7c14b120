"""What it costs to begin: the import, and the command line's help."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from benchmarks.findings import Bench, Findings, Row
from benchmarks.isolated import ROOT

CODES = {
    "import featurestore": ("import featurestore", 0.6),
    "featurestore --help": (
        "import sys; sys.argv = ['featurestore', '--help']; from featurestore.cli import main; main()",
        1.0,
    ),
}


def measure(bench: Bench) -> Findings:
    """Run each in fresh processes, one more time than counts."""
    rows = []
    for what, (code, at_most) in CODES.items():
        cpu_s = [_cpu_seconds(code) for _ in range(bench.runs + 1)][1:]
        rows.append(Row(what, statistics.median(cpu_s), at_most=at_most, unit=" CPU-s"))
    return Findings(tuple(rows))


def _cpu_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

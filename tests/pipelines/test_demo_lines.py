"""What a demo says to those who read a log instead of a terminal, and how it ends at Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.pipelines.signals import usual_signals

MAX_END_S = 60


def test_a_line_is_written_when_a_stage_has_ended_and_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import featurestore.cli as it; it.main()", "demo", "--events", "2000", "--root", "shop"]
    demo = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=usual_signals
    )
    assert demo.stderr is not None
    lines = [demo.stderr.readline().rstrip() for _ in range(4)]
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=MAX_END_S)
    assert lines[0] == "The demo on shop, in shop: a line for each stage that has ended."
    for line, stage in zip(lines[1:], ("landing", "events", "tiles"), strict=True):
        assert re.fullmatch(rf"2016 +{stage} +\d+\.\d s( +[\d,]+ (events|rows))?", line), line
    assert lines[2].endswith(" events")
    assert (out, demo.returncode) == ("", 130), err
    assert err.splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in err

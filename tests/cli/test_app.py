"""The command line as a whole: errors, exit codes, the version, help."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import featurestore as fs
from featurestore.cli.app import app
from tests.cli.running import Run

HELP_CPU_SECONDS = 1.0
TRIES = 3


def test_a_command_never_makes_a_store_by_mistake(run: Run, tmp_path: Path) -> None:
    code, out, err = run("status", "--root", "mistyped")
    assert (code, out) == (1, "")
    assert err.startswith("StoreError: There is no store in mistyped.")
    assert not (tmp_path / "mistyped").exists()


def test_an_error_is_json_when_asked_for(run: Run) -> None:
    code, _, err = run("status", "--json")
    assert code == 1
    assert json.loads(err)["error"] == "StoreError"


def test_a_wrong_command_line_exits_with_2(run: Run) -> None:
    assert run("status", "--nonsense")[0] == 2


def test_version(run: Run) -> None:
    assert run("--version")[1].startswith("featurestore ")


def test_help_is_quick_and_light() -> None:
    code = """
import resource, sys
from featurestore.cli import main
try:
    main(["--help"])
except SystemExit:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    heavy = [name for name in ("dagster", "duckdb", "evidently", "pandas", "polars") if name in sys.modules]
    print(usage.ru_utime + usage.ru_stime, *heavy)
"""

    def once() -> list[str]:
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return done.stdout.splitlines()[-1].split()

    tries = [once() for _ in range(TRIES)]
    assert all(len(words) == 1 for words in tries)
    assert min(float(words[0]) for words in tries) <= HELP_CPU_SECONDS


def test_status_of_a_store_that_is_in_use_loads_no_frames_and_no_statistics(filled: Run, tmp_path: Path) -> None:
    assert filled("audit", "--month", "2025-10")[0] == 0
    code = f"""
import sys
from featurestore.cli import main
try:
    main(["status", "--root", {str(tmp_path / "store")!r}])
except SystemExit:
    print(*(name for name in ("dagster", "duckdb", "evidently", "pandas", "polars", "scipy") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == ""


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
NEEDS_A_STORE = {
    "remove": ["x"],
    "ingest": ["events"],
    "quarantine": ["events"],
    "materialize": [],
    "verify": [],
    "get": ["spine.csv", "--features", "x", "--out", "x.csv"],
    "publish": ["x"],
    "audit": [],
    "alerts": [],
    "acknowledge": ["x", "--note", "y"],
    "recalibrate": [],
    "rollback": ["x"],
    "upgrade": [],
    "status": [],
    "ui": [],
    "vacuum": [],
    "doctor": [],
}


def test_without_a_command_there_is_help(run: Run) -> None:
    _, out, err = run()
    assert err == ""
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_says_how_it_is_called_and_what_it_does(run: Run, command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    needed = [item.opts[0] for item in COMMANDS[command].params if item.required and item.param_type_name == "option"]
    asked = [item.name.upper() for item in COMMANDS[command].params if item.param_type_name == "argument"]
    usage = words.partition(" ╭")[0]
    assert f"Usage: featurestore {command} " in usage
    assert all(each in usage for each in [*needed, *asked])
    assert " ".join(COMMANDS[command].help.split()[:4]) in usage


@pytest.mark.parametrize("command", NEEDS_A_STORE)
def test_a_command_without_a_store_says_how_one_is_made(run: Run, command: str) -> None:
    code, out, err = run(command, *NEEDS_A_STORE[command], "--root", "nowhere")
    assert (code, out) == (1, "")
    assert err.startswith(
        "StoreError: There is no store in nowhere. Create one with `featurestore apply MODULE --root nowhere`"
    )


def test_every_command_but_those_that_make_a_store_needs_one() -> None:
    assert set(COMMANDS) - set(NEEDS_A_STORE) == {"apply", "demo", "init", "up"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["stauts"], "Did you mean 'status'?"),
        (["ingest"], "Missing argument 'SOURCE'"),
        (["get", "spine.csv"], "Missing option '--features'"),
        (["status", "--rot", "x"], "--root"),
        (["vacuum", "--retention-hours", "soon"], "--retention-hours"),
    ],
)
def test_a_wrong_command_line_says_what_was_meant(run: Run, given: list[str], says: str) -> None:
    code, out, err = run(*given)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: featurestore ")
    assert says in err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["ingest", "evnts"], "no event source 'evnts'. Did you mean 'events'?"),
        (["ingest", "events", "gone.csv"], "'gone.csv' names no file"),
        (["ingest", "events"], "no landing folder"),
        (["materialize", "--view", "activty"], "no view 'activty'. Did you mean 'activity'?"),
        (["verify", "--view", "activty"], "Did you mean 'activity'?"),
        (["verify", "--sample", "2"], "at most 1"),
        (["publish", "recommendation"], "Did you mean 'recommendation_v1'?"),
        (["audit", "--view", "activty"], "Did you mean 'activity'?"),
        (["audit", "--month", "2024-13"], "no month 2024-13"),
        (["acknowledge", "activity:buys", "--note", "x"], "Did you mean"),
        (["recalibrate", "prior"], "no calibration 'prior'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(filled: Run, given: list[str], says: str) -> None:
    code, out, err = filled(*given)
    assert (code, out) == (1, "")
    assert says in err


def test_a_terminal_that_cannot_write_a_letter_shows_its_code(filled: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("event_id,event_time,event_type,user_id\n9,yesterday,客户,7\n", encoding="utf-8")
    filled("ingest", "events", rows)
    told = subprocess.run(
        [sys.executable, "-c", "from featurestore.cli import main; main()", "quarantine", "events"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\\u5ba2\\u6237" in told.stdout


@pytest.mark.parametrize(
    ("words", "redirected", "code", "told"),
    [
        ("status", "> /dev/full", 1, "could not be written to stdout: No space left on device"),
        ("status --json", "> /dev/full", 1, "could not be written to stdout: No space left on device"),
        ("status --help", "> /dev/full", 1, "could not be written to stdout: No space left on device"),
        ("status", ">&-", 1, "could not be written to stdout: Bad file descriptor"),
        ("status", "| (exec 0<&-; sleep 2)", 141, ""),
        ("status --help", "| (exec 0<&-; sleep 2)", 1, ""),  # typer's own answer
        ("status --root mistyped", "2> /dev/full", 1, ""),
        ("status --root mistyped", "2>&-", 1, ""),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_stdout_that_is_full_closed_or_unread_is_told_in_a_line_or_not_at_all(
    tmp_path: Path, words: str, redirected: str, code: int, told: str
) -> None:
    fs.FeatureStore(tmp_path / "store")
    program = f"{shlex.quote(sys.executable)} -c 'from featurestore.cli import main; main()'"
    command = f"{program} {words} {redirected}; exit ${{PIPESTATUS[0]}}"
    given = {**os.environ, "FEATURESTORE_ROOT": str(tmp_path / "store")}
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, env=given)
    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == bool(told)

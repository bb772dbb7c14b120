"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from featurestore.cli import main, screen
from featurestore.cli.app import app
from featurestore.cli.demo_screen import show_result
from featurestore.drift.audit import Episode
from featurestore.timeline import Month
from featurestore_pipelines.demo.result import (
    DemoResult,
    PlantedOutcome,
    ProbabilityError,
    Recalibration,
    StageTime,
    TrainingSet,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HELP_CPU_SECONDS = 1.0
TRIES = 3

DEFINITIONS = """
import featurestore as fs

TIMEZONE = "Asia/Shanghai"
events = fs.EventSource("events", event_time="event_time", event_id="event_id", schema={
    "event_id": "int64", "event_time": "timestamp", "event_type": "string", "user_id": "int64"})
activity = fs.FeatureView("activity", entity=fs.Entity("user", key="user_id"), source=events, aggregations=[
    fs.Count("buys", where="event_type = 'buy'", windows=("30d", "10y"))])
OBJECTS = [activity, fs.FeatureService("recommendation_v1", features=[activity])]
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line in an empty directory; the answer is exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATURESTORE_ROOT", str(tmp_path / "store"))
    (tmp_path / "features.py").write_text(DEFINITIONS)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return int(stopped.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Run:
    """Fill a store: two users, purchases in 2016 and 2025."""
    moments = [datetime(2016, 11, 11), datetime(2025, 10, 20), datetime(2025, 11, 1), datetime(2025, 11, 2)]
    table = pa.table(
        {"event_id": [1, 2, 3, 4], "event_time": moments, "event_type": ["buy", "buy", "view", "buy"], "user_id": [7, 7, 7, 8]}
    )
    pq.write_table(table, tmp_path / "events.parquet")
    assert run("apply", "features.py")[0] == 0
    assert run("ingest", "events", "events.parquet")[0] == 0
    assert run("materialize")[0] == 0
    return run


def _write_spine(path: Path) -> Path:
    path.write_text("user_id,as_of,label\n7,2020-01-01 00:00:00,a\n7,2025-11-11 00:00:00,b\n9,2025-11-11 00:00:00,c\n")
    return path


def test_apply_shows_the_plan_and_a_dry_run_records_nothing(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("apply", "features.py")
    assert code == 0
    assert "add view activity" in out
    (tmp_path / "features.py").write_text(DEFINITIONS.replace('"10y"', '"5y"'))
    assert "change view activity" in run("apply", "features.py", "--dry-run")[1]
    assert "change view activity" in run("apply", "features.py")[1]
    assert run("apply", "features.py")[1] == "nothing changes\n"


def test_apply_takes_the_name_of_a_module_and_its_time_zone(run: Run, tmp_path: Path) -> None:
    assert run("apply", "features")[0] == 0
    assert json.loads((tmp_path / "store" / "store.json").read_text())["timezone"] == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("module", "says"), [("nowhere.py", "no file nowhere.py"), ("nowhere", "no module 'nowhere'"), ("json", "no OBJECTS")]
)
def test_a_module_without_definitions_is_named(run: Run, module: str, says: str) -> None:
    code, _, err = run("apply", module)
    assert code == 1
    assert says in err


def test_a_store_is_filled_and_read(filled: Run, tmp_path: Path) -> None:
    spine = _write_spine(tmp_path / "spine.csv")
    code, out, _ = filled("get", spine, "--features", "recommendation_v1", "--out", "out/training.parquet")
    assert code == 0
    assert out.startswith("out/training.parquet: 3 rows x 2 features in ")
    table = pq.read_table(tmp_path / "out" / "training.parquet")
    assert table["label"].to_pylist() == ["a", "b", "c"]
    assert table["activity__buys_10y"].to_pylist() == [1, 2, 0]
    assert table["activity__buys_30d"].to_pylist() == [0, 1, 0]


def test_a_training_set_can_be_csv(filled: Run, tmp_path: Path) -> None:
    spine = _write_spine(tmp_path / "spine.csv")
    assert filled("get", spine, "--features", "activity:buys_30d", "--out", "training.csv", "--json")[0] == 0
    assert (tmp_path / "training.csv").read_text().splitlines()[0] == '"user_id","as_of","label","activity__buys_30d"'


@pytest.mark.parametrize(("spine", "out", "says"), [
    ("none.csv", "out.parquet", "no spine none.csv"),
    ("spine.txt", "out.parquet", "ends in '.txt'"),
    ("spine.csv", "out.xlsx", "ends in '.xlsx'"),
    ("spine.parquet", "out.parquet", "cannot be read as .parquet"),
])  # fmt: skip
def test_files_that_cannot_be_read_or_written_are_named(filled: Run, tmp_path: Path, spine: str, out: str, says: str) -> None:
    _write_spine(tmp_path / "spine.csv")
    (tmp_path / "spine.parquet").write_text("no Parquet")
    code, _, err = filled("get", spine, "--features", "activity", "--out", out)
    assert code == 1
    assert says in err
    assert not (tmp_path / out).exists()


def test_the_same_file_again_adds_nothing(filled: Run) -> None:
    report = json.loads(filled("ingest", "events", "events.parquet", "--json")[1])
    assert report["rows_added"] == 0


def test_status_says_what_is_there_and_what_is_missing(filled: Run) -> None:
    found = json.loads(filled("status", "--json")[1])
    assert [(source["name"], source["rows"]) for source in found["sources"]] == [("events", 4)]
    assert found["views"][0]["missing_months"] == []
    out = filled("status")[1]
    assert "Asia/Shanghai" in out
    assert "activity" in out


def test_a_published_service_is_in_the_status(filled: Run) -> None:
    assert json.loads(filled("status", "--json")[1])["services"][0]["as_of"] is None
    made = json.loads(filled("publish", "recommendation_v1", "--json")[1])
    (found,) = json.loads(filled("status", "--json")[1])["services"]
    assert (found["number"], found["as_of"], found["is_redefined"]) == (0, made["as_of"], False)
    assert made["as_of"][:10] in filled("publish", "recommendation_v1")[1]
    assert made["as_of"] in filled("status")[1]
    assert filled("publish", "recommendation_v1", "--as-of", "2016-01-01")[0] == 1


def test_audit_takes_the_last_month_by_default(filled: Run) -> None:
    found = json.loads(filled("audit", "--json")[1])
    assert found["months"] == ["2025-11"]
    assert {row["state"] for row in found["rows"]} == {"insufficient"}
    assert filled("audit", "--month", "2025-10")[1].startswith("audit of 2025-10: ")
    assert filled("audit", "--month", "2025-10", "--all")[0] == 1


def test_without_a_drift_nothing_is_recalibrated(filled: Run) -> None:
    filled("audit")
    assert filled("recalibrate")[1] == "no drift calls for a recalibration now\n"
    assert json.loads(filled("recalibrate", "--json")[1]) == []


def test_an_unknown_calibration_is_not_rolled_back(filled: Run) -> None:
    code, _, err = filled("rollback", "return_prior")
    assert code == 1
    assert "return_prior" in err


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


def test_the_demo_refuses_what_it_does_not_know(run: Run) -> None:
    assert "Did you mean 'movielens'?" in run("demo", "--data", "movilens")[2]
    assert "--events" in run("demo", "--data", "movielens", "--events", "5")[2]


def test_the_demo_says_which_extra_is_missing(tmp_path: Path) -> None:
    code = "import sys; sys.modules['dagster'] = None; from featurestore.cli import main; main(['demo'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("MissingExtraError: The demo needs dagster")
    assert not list(tmp_path.iterdir())


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


def test_every_command_and_option_is_documented() -> None:
    root = typer.main.get_command(app)
    missing = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        if f"`featurestore {name}" not in README:
            missing.append(name)
        missing += [
            f"{name} {option}"
            for item in command.params
            for option in item.opts
            if option.startswith("--") and f"`{option}" not in README and f" {option} " not in README
        ]
    assert missing == []


def _demo_result(root: Path) -> DemoResult:
    episode = Episode(
        "sku_returns", "sku_returns__return_rate_90d", None, Month(2024, 10), Month(2024, 8), "psi", 3.0, "PSI 0.3"
    )
    found = {"found_month": Month(2024, 10), "found_feature": episode.feature, "is_masked": False}
    lost = {"found_month": None, "found_feature": None, "is_masked": False}
    stays = {"kind": "sudden", "last_month": None}
    return DemoResult(
        data="shop",
        root=root,
        first_month=Month(2016, 1),
        last_month=Month(2025, 12),
        events=1_000_000,
        quarantined=7,
        event_bytes=20_000_000,
        store_bytes=50_000_000,
        views=8,
        features=56,
        entities={"user": 1234},
        training_set=TrainingSet("recommendation_v1", 2000, 25, 1.25),
        scores=6000,
        episodes=(episode,),
        planted=(
            PlantedOutcome("refund_only", first_month=Month(2024, 8), features=(episode.feature,), **found, **stays),
            PlantedOutcome("floods", first_month=Month(2024, 7), features=("region_cutoff__cutoff_hour",), **lost, **stays),
            PlantedOutcome("redelivery", first_month=Month(2023, 5), features=(), **lost, **stays),
        ),
        unplanted_episodes=0,
        recalibrations=(
            Recalibration("return_prior", Month(2016, 12), None, True, None, None, None, "the first version"),
            Recalibration("return_prior", Month(2025, 3), episode.feature, True, "demand_v1", 0.25, 0.2, "better"),
            Recalibration("return_prior", Month(2025, 3), episode.feature, True, "routing_v1", 0.25, 0.2, "better"),
        ),
        return_error=ProbabilityError(Month(2025, 10), Month(2025, 12), 300, 0.0243, 0.0222, "0003-a"),
        reports=(root / "reports" / "a.html",),
        timeline=root / "reports" / "timeline.png",
        stages=(StageTime("events", 2.0), StageTime("tiles", 3.0)),
        elapsed_s=61.0,
        peak_memory_bytes=2**30,
        environment={},
    )


def test_the_last_screen_of_the_demo_shows_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    show_result(_demo_result(tmp_path / "data" / "shop"))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "shop, 2016-01 to 2025-12, in 61 s: data/shop",
        "ingest 500,000 events per second",
        "size 20.0 bytes per event; the whole store 50 MB",
        "training set 2,000 rows x 25 features of recommendation_v1 in 1.25 s",
        "2023-05 - sudden redelivery repaired by ingest -",
        "2024-07 - sudden floods not found -",
        "2024-08 - sudden refund_only 2024-10 (+2) sku_returns__return_rate_90d",
        "1 of 3 found; 0 of 1 episodes have no planted cause.",
        "2016-12 return_prior promoted - - - the first version",
        "2025-03 return_prior promoted 0.2500 0.2000 20.0 % demand_v1, routing_v1",
        "Return probability against its truth, 2025-10 to 2025-12, 300 SKUs weighted by units: mean absolute error 2.43 points "
        "with the first parameters, 2.22 with the recalibrated ones (-8.6 %).",
        "data/shop/reports/a.html",
        "make ui",
    ):
        assert line in lines


def test_names_in_tables_are_text_and_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_table("T", ("name",), [("[bold]x[/bold]",)])
    assert "[bold]x[/bold]" in capsys.readouterr().out


def test_verify_says_equal_and_ends_with_one_where_it_is_not(filled: Run, tmp_path: Path) -> None:
    code, out, _ = filled("verify")
    assert code == 0
    assert "none failed" in out
    assert json.loads(filled("verify", "--view", "activity", "--sample", "1", "--json")[1])["is_equal"] is True
    for file in (tmp_path / "store").rglob("month=2016-11/*.parquet"):
        if "tiles" in str(file):
            table = pq.read_table(file, partitioning=None)
            pq.write_table(table.set_column(2, table.column_names[2], pa.array([9])), file)
    code, out, _ = filled("verify")
    assert code == 1
    assert "committed 9, recomputed 1" in out
    assert json.loads(filled("verify", "--json")[1])["first_difference"]["key"] == [7]


def test_auditing_a_month_again_gives_the_same_rows_the_same_page_and_the_same_alerts(filled: Run, tmp_path: Path) -> None:
    commands = (("audit", "--month", "2025-11", "--page", "--json"), ("alerts", "--json"))
    first = [filled(*command)[1] for command in commands]
    page = tmp_path / "store" / "reports" / "2025-11" / "audit.html"
    written = page.read_bytes()
    assert json.loads(first[0])["page"] == str(page)
    assert [filled(*command)[1] for command in commands] == first
    assert page.read_bytes() == written
    found = json.loads(first[1])
    assert found["alerts"] == []
    assert found["digests"][0]["month"] == "2025-11"


def test_alerts_are_words_or_markdown_and_need_an_audit(filled: Run) -> None:
    code, _, err = filled("alerts")
    assert code == 1
    assert "Run `featurestore audit` first" in err
    filled("audit", "--month", "2025-11")
    assert filled("alerts")[1].startswith("audit of 2025-11: ")
    assert filled("alerts", "--month", "2025-11", "--markdown")[1].startswith("**Drift audit of 2025-11**: ")
    assert filled("alerts", "--since", "2016-01")[1] == ""

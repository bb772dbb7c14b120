"""The demo's command: what it refuses, and its last screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from featurestore.cli.demo_screen import show_result
from featurestore.drift.episode import Episode
from featurestore.timeline import Month
from featurestore_pipelines.demo.result import (
    DemoResult,
    PlantedOutcome,
    ProbabilityError,
    Recalibration,
    StageTime,
    TrainingSet,
)
from tests.cli.running import Run


def test_the_demo_refuses_what_it_does_not_know(run: Run) -> None:
    assert "Did you mean 'movielens'?" in run("demo", "--data", "movilens")[2]
    assert "--events" in run("demo", "--data", "movielens", "--events", "5")[2]


def test_the_demo_says_which_extra_is_missing(tmp_path: Path) -> None:
    code = "import sys; sys.modules['dagster'] = None; from featurestore.cli import main; main(['demo'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("MissingExtraError: The demo needs dagster")
    assert not list(tmp_path.iterdir())


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
        faults=(),
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

"""Commands that record definitions and remove them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.running import DEFINITIONS, Run


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


def test_a_dry_run_shows_a_store_that_is_still_to_be_made(run: Run, tmp_path: Path) -> None:
    code, out, err = run("apply", "features.py", "--dry-run")
    assert code == 0
    assert "add view activity" in out
    assert err.startswith("There is no store in ")
    assert not (tmp_path / "store").exists()


def test_a_dry_run_refuses_what_apply_would_refuse(run: Run, tmp_path: Path) -> None:
    run("apply", "features.py")
    (tmp_path / "features.py").write_text(DEFINITIONS.replace("Asia/Shanghai", "Europe/Berlin"))
    assert run("apply", "features.py", "--dry-run")[2] == run("apply", "features.py")[2] != ""


def test_removing_shows_the_plan_and_names_all_that_read_the_object(run: Run) -> None:
    run("apply", "features.py")
    code, out, err = run("remove", "activity")
    assert (code, out) == (1, "")
    assert "The view 'activity' is read by the service recommendation_v1; remove those first." in err
    code, _, err = run("remove", "events")
    assert (code, "read by the view activity" in err) == (1, True)
    plan = "remove service recommendation_v1 (its publications stay until vacuum)\n"
    assert run("remove", "recommendation_v1", "--dry-run")[:2] == (0, plan)
    assert run("remove", "recommendation_v1")[:2] == (0, plan)
    assert json.loads(run("remove", "activity", "--json")[1])["changes"] == [
        {"action": "remove", "kind": "view", "name": "activity", "rebuilds": False, "notes": []}
    ]
    assert "Did you mean 'events'?" in run("remove", "evnts")[2]
    assert run("remove", "events")[1] == "remove source events (its events stay)\n"


def test_pruning_forgets_what_is_not_in_the_module_and_keeps_its_events(filled: Run, tmp_path: Path) -> None:
    other = 'OBJECTS = [fs.EventSource("other", event_time="t", event_id="i", schema={"i": "int64", "t": "timestamp"})]'
    (tmp_path / "fewer.py").write_text(DEFINITIONS.split("events = ", maxsplit=1)[0] + other)
    plan = (
        "remove entity user\nremove source events (its events stay)\nadd source other\n"
        "remove view activity (its tiles and ledger stay until vacuum)\n"
        "remove service recommendation_v1 (its publications stay until vacuum)\n"
    )
    assert filled("apply", "fewer.py", "--dry-run")[1] == "add source other\n"
    assert filled("apply", "fewer.py", "--prune", "--dry-run")[1] == plan
    assert len(json.loads(filled("status", "--json")[1])["views"]) == 1
    assert filled("apply", "fewer.py", "--prune")[1] == plan
    found = json.loads(filled("status", "--json")[1])
    assert ([source["name"] for source in found["sources"]], found["views"], found["services"]) == (["other"], [], [])
    assert filled("apply", "features.py")[0] == 0
    found = json.loads(filled("status", "--json")[1])
    assert [source["rows"] for source in found["sources"] if source["name"] == "events"] == [4]


def test_pruning_refuses_to_forget_what_the_module_reads(run: Run, tmp_path: Path) -> None:
    run("apply", "features.py")
    (tmp_path / "service.py").write_text(
        "import featurestore as fs\nOBJECTS = [fs.FeatureService('recommendation_v1', features=['activity:buys_30d'])]"
    )
    assert run("apply", "service.py")[0] == 0
    for more in ([], ["--dry-run"]):
        code, out, err = run("apply", "service.py", "--prune", *more)
        assert (code, out) == (1, "")
        assert "the view activity, read by the service recommendation_v1. Give it too" in err


SPLIT = DEFINITIONS.replace('fs.Entity("user", key="user_id")', "user").replace(
    "import featurestore as fs", "import featurestore as fs\nfrom entities import user", 1
)
ENTITIES = 'import featurestore as fs\nuser = fs.Entity("user", key="{key}")\n'


def test_a_file_imports_what_lies_beside_it_wherever_it_lies(run: Run, tmp_path: Path) -> None:
    for folder, key in (("one", "user_id"), ("two", "event_id")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "entities.py").write_text(ENTITIES.format(key=key))
        (tmp_path / folder / "shop.py").write_text(SPLIT)
        assert run("apply", f"{folder}/shop.py", "--root", f"{folder}/store")[0] == 0
        recorded = json.loads((tmp_path / folder / "store" / "registry.json").read_text())
        assert recorded["entity"][0]["key"] == [key]


def test_a_file_imports_a_package_beside_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from parts.entities import user\n")
    (tmp_path / "parts" / "entities.py").write_text(ENTITIES.format(key="user_id"))
    (tmp_path / "shop.py").write_text(SPLIT.replace("from entities", "from parts"))
    assert run("apply", "shop.py")[0] == 0
    assert "parts" not in sys.modules


def test_a_file_may_hold_dataclasses_and_be_named_like_a_library(run: Run, tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Limits:\n    days: int = 3\n"
    )
    (tmp_path / "json.py").write_text(text + DEFINITIONS)
    assert run("apply", "json.py")[0] == 0
    assert sys.modules["json"] is json


def test_one_object_needs_no_list(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(DEFINITIONS.rsplit("OBJECTS", 1)[0] + "OBJECTS = activity\n")
    assert "add view activity" in run("apply", "one.py")[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("OBJECTS = None", "OBJECTS = None. Give it a list"),
        ("OBJECTS = 'events'", "OBJECTS = 'events'. Give it a list"),
        ("OBJECTS = {}", "OBJECTS = {}. Give it a list"),
        ("OBJECTS = [5]", "holds 5, which is no definition"),
        ("OBJECTS = []\nTIMEZONE = 8", "has TIMEZONE = 8; write a zone's name"),
        ("import nothing_here", "bad.py cannot be loaded: line 1: ModuleNotFoundError: No module named 'nothing_here'"),
        ("from .entities import user", "a file inside a package is given by its importable name"),
        ("x = 1\nOBJECTS = [y]", "bad.py cannot be loaded: line 2: NameError: name 'y' is not defined"),
        ("OBJECTS = [", "bad.py cannot be loaded: SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_applied_says_why(run: Run, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    code, _, err = run("apply", "bad.py")
    assert code == 1
    assert err.startswith("DefinitionError: ")
    assert says in err


@pytest.mark.parametrize("module", ["", ".features", "no/such", "bad"])
def test_a_name_that_cannot_be_imported_says_why(run: Run, tmp_path: Path, module: str) -> None:
    (tmp_path / "bad.py").write_text("OBJECTS = [")
    code, _, err = run("apply", module)
    assert code == 1
    assert err.startswith("DefinitionError: ")

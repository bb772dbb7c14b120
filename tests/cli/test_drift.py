"""Commands that watch features and answer their drift."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import Run


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


def test_a_month_before_all_events_is_said_to_have_nothing(filled: Run) -> None:
    assert filled("audit", "--month", "2012-01")[1].startswith("nothing to audit in 2012-01: ")


def test_what_needs_an_audit_names_its_command(filled: Run) -> None:
    for command in ("alerts", "recalibrate"):
        code, _, err = filled(command)
        assert (code, "Run `featurestore audit` first." in err) == (1, True)

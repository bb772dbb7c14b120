"""The command that brings a store to the newest version of its format."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import Run


def test_an_upgrade_is_shown_made_and_not_made_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text('{"format": 1, "timezone": "UTC"}')
    code, out, _ = run("upgrade", "--dry-run")
    assert (code, out.splitlines()[0].partition(":")[0]) == (0, "two versions")
    assert json.loads(run("upgrade", "--dry-run", "--json")[1])["is_dry_run"] is True
    assert run("upgrade")[1].splitlines()[-1] == "It has read version 1, write version 2"
    assert run("upgrade")[1] == "Nothing to upgrade: read version 1, write version 2\n"

"""The pages' Python runs, in order, one session a page; what they say is printed is printed; their links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

import featurestore as fs
from featurestore import shop
from featurestore.synth import Shop
from tests.docs.pages import LINK, README, ROOT, anchors, blocks, name_of, pages, prose, read, sessions
from tests.test_architecture import MACHINE_PATHS

MOST_LINES_OF_README = 110
EVENTS = 30_000


def _of_readme(names: dict[str, object]) -> None:
    _run(README, names)


def _a_published_shop(names: dict[str, object]) -> None:
    store = fs.FeatureStore("store", timezone=shop.TIMEZONE)
    store.apply(shop.OBJECTS)
    (landing,) = {store.layout.landing(source) for source in store.registry.sources.values()}
    Shop(events=EVENTS).write_landing(landing, months=["2016-01"])
    store.ingest("events")
    store.materialize()
    now = datetime.now(timezone.utc)
    store.publish("routing_v1", as_of=now)
    names |= {"store": store, "now": now}


# What a reader of the page has done before, as it says.
BEFORE = {"docs/semantics.md": _of_readme, "docs/operations.md": _a_published_shop}
WITH_PYTHON = [page for page in pages() if any(block.language == "python" for block in blocks(read(page)))]


def _run(page: Path, names: dict[str, object]) -> None:
    for block in blocks(read(page)):
        if block.language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block.text, name_of(page), "exec"), names)
            assert block.output is None or printed.getvalue() == block.output, f"printed:\n{printed.getvalue()}"


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_its_python_runs_and_prints_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    BEFORE.get(name_of(page), lambda _: None)(names)
    _run(page, names)


SECONDS = re.compile(r"\b\d+(\.\d+)? s\b")


@pytest.mark.parametrize("page", [page for page in pages() if sessions(read(page))], ids=name_of)
def test_its_shell_sessions_print_what_it_says(page: Path, tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for session in sessions(read(page)):
        script = f"set -euo pipefail\n{session.text}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": programs}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert SECONDS.sub("0 s", done.stdout) == SECONDS.sub("0 s", session.output or "")


def test_readme_is_among_them_and_two_screens_long() -> None:
    assert README in WITH_PYTHON
    assert len(read(README).splitlines()) <= MOST_LINES_OF_README


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_its_links_lead_to_files_and_headings(page: Path) -> None:
    lost = []
    for link in LINK.findall(prose(read(page))):
        file, _, heading = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists() or (heading and heading not in anchors(read(target))):
            lost.append(link)
    assert lost == []


def test_every_page_is_reached_from_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            links = (link.partition("#")[0] for link in LINK.findall(prose(read(page))))
            waiting += [(page.parent / link).resolve() for link in links if link.endswith(".md")]
    assert {name_of(page) for page in pages()} - {name_of(page) for page in reached if page.is_relative_to(ROOT)} == set()


def test_every_picture_is_shown() -> None:
    shown = {link for page in pages() for link in (Path(name).name for name in LINK.findall(prose(read(page))))}
    drawn = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".png", ".svg")}
    assert drawn - shown == set()


def test_the_table_of_folders_names_all_of_them() -> None:
    text = read(README)
    there = {path.name for path in (ROOT / "featurestore").iterdir() if (path / "__init__.py").exists()}
    there |= {path.name for path in (ROOT / "featurestore").glob("*.py")} - {"__init__.py"}
    assert {name for name in there if f"`featurestore/{name}`" not in text and f"`{name}`" not in text} == set()


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_it_names_no_place_of_one_machine(page: Path) -> None:
    assert [line for line in read(page).splitlines() if MACHINE_PATHS.search(line)] == []

"""Several processes on one store, and processes that are killed: no wrong answer, and the same call repairs what is left."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable

import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.errors import NotMaterializedError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import FeatureView
from tests.compute.workers import VIEWS, commit_and_materialize, drawn_events, materialize_until_killed
from tests.compute.world import answers, at, commit_events

SEEDS = range(4)
# A clean process to fork from: this one has threads, of which a fork has only the locks.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.compute.workers", "deltalake", "duckdb", "sqlglot"])


def run(work: Callable[..., None], calls: list[tuple]) -> list[int | None]:
    """Call a function in one process per argument tuple, all at once; return their exit codes."""
    processes = [CONTEXT.Process(target=work, args=arguments) for arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    return [process.exitcode for process in processes]


def counts(layout: Layout, view: FeatureView, users: list[int]) -> list[int]:
    return answers(layout, view, *((user, at(2025)) for user in users), feature="n")


def test_processes_that_add_events_and_materialize_at_once_leave_every_view_complete(tmp_path) -> None:
    layout, start = create_or_open(tmp_path / "store"), CONTEXT.Barrier(len(SEEDS))
    assert run(commit_and_materialize, [(str(layout.root), seed, start) for seed in SEEDS]) == [0] * len(SEEDS)
    events = [each for seed in SEEDS for each in drawn_events(seed)]
    users = sorted({each["user_id"] for each in events})
    expected = [sum(each["user_id"] == user for each in events) for user in users]
    assert [counts(layout, view, users) for view in VIEWS] == [expected] * len(VIEWS)
    assert materialize(layout, VIEWS).tile_rows == 0


KILLED_BEFORE = [
    ("featurestore.compute.materialization.tiles", "extended_codes", 1),
    ("featurestore.compute.keys", "commit", 1),
    ("os", "replace", 3),
    ("featurestore.compute.materialization.tiles", "commit", 1),
    ("featurestore.compute.materialization.tiles", "commit", 2),
    ("featurestore.compute.materialization.materialize", "fold_ledger", 1),
    ("featurestore.compute.materialization.staging", "write_hot", 2),
    ("featurestore.compute.materialization.staging", "describe", 3),
    ("featurestore.compute.materialization.ledger", "commit", 1),
    ("featurestore.compute.materialization.ledger", "drop_hot", 1),
]


@pytest.mark.parametrize("was_there", [False, True], ids=["new", "changed"])
def test_a_process_killed_anywhere_leaves_the_old_answer_or_none_and_the_same_call_goes_on(tmp_path, was_there: bool) -> None:
    users, (view, *_) = list(range(5)), VIEWS
    old, new = drawn_events(1) if was_there else [], drawn_events(2)
    layouts = [create_or_open(tmp_path / f"store{i}") for i in range(len(KILLED_BEFORE))]
    for layout in layouts:
        if was_there:
            commit_events(layout, old)
            materialize(layout, [view])
        commit_events(layout, new)
    calls = [(str(layout.root), *point) for layout, point in zip(layouts, KILLED_BEFORE, strict=True)]
    assert run(materialize_until_killed, calls) == [-signal.SIGKILL] * len(calls)
    expected = [sum(each["user_id"] == user for each in [*old, *new]) for user in users]
    for layout, (_, function, _) in zip(layouts, KILLED_BEFORE, strict=True):
        if function == "drop_hot":
            assert counts(layout, view, users) == expected
        else:
            with pytest.raises(NotMaterializedError):
                counts(layout, view, users)
        materialize(layout, [view])
        assert counts(layout, view, users) == expected

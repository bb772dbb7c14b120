"""What the processes of test_processes.py do; in a module of its own, so that each can import it."""

from __future__ import annotations

import importlib
import os
import signal
from multiprocessing.synchronize import Barrier

import numpy as np

from featurestore.compute.materialization.materialize import materialize
from featurestore.errors import CommitConflictError
from featurestore.lake.layout import create_or_open
from featurestore.spec import Count, Entity, FeatureView, Sum
from tests.compute.world import SOURCE, at, commit_events, event

USER = Entity("user", key="user_id")
VIEWS = [
    FeatureView("activity", entity=USER, source=SOURCE, aggregations=[Count("n"), Sum("spend", "amount_cents")]),
    FeatureView("counts", entity=USER, source=SOURCE, aggregations=[Count("n")]),
    FeatureView("hours", entity=USER, source=SOURCE, aggregations=[Count("n")], grain="1h"),
]


def drawn_events(seed: int, rows: int = 50) -> list[dict]:
    """Events of 2022 and 2023, of users that other seeds have too and of some that they have not."""
    rng = np.random.default_rng(seed)
    users = [*range(5), *range(10 * seed, 10 * seed + 3 + seed)]
    return [
        event(1000 * seed + i, at(2022 + i % 2, int(rng.integers(1, 5)), int(rng.integers(1, 28))), int(rng.choice(users)))
        for i in range(rows)
    ]


def commit_and_materialize(root: str, seed: int, start: Barrier) -> None:
    """Wait for the others, then add a batch of events and bring all views up to date, each seed in another order."""
    layout = create_or_open(root)
    start.wait()
    while True:
        try:
            commit_events(layout, drawn_events(seed))
            break
        except CommitConflictError:
            continue
    materialize(layout, VIEWS[seed % 3 :] + VIEWS[: seed % 3])


def materialize_until_killed(root: str, module: str, function: str, call: int) -> None:
    """Bring the first view up to date, and die at the so-manyeth call of a function, before it does anything."""
    place, calls = importlib.import_module(module), 0
    real = getattr(place, function)

    def deadly(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(place, function, deadly)
    materialize(create_or_open(root), VIEWS[:1])

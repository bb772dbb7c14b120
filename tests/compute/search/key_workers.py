"""What the processes of test_key_index.py do; in a module of its own, so that each can import it."""

from __future__ import annotations

import importlib
import os
import signal
from multiprocessing.synchronize import Barrier

import pyarrow as pa

from featurestore.compute.search.key_index import KeyIndex
from featurestore.lake.layout import create_or_open

START: Barrier | None = None


def codes_after_start(root: str, keys: list[str]) -> list[int]:
    """Wait for the other, then look keys up in an index that neither has made yet."""
    assert START is not None
    layout = create_or_open(root)
    START.wait()
    return KeyIndex.open(layout, "user", ("string",)).codes([pa.array(keys, pa.large_string())]).tolist()


def build_until_killed(root: str, function: str) -> None:
    """Open an index that is not made yet, and die before a function of ``compute/search`` does anything."""
    module, name = function.split(".")
    place = importlib.import_module(f"featurestore.compute.search.{module}")
    setattr(place, name, lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL))
    KeyIndex.open(create_or_open(root), "user", ("int64",))

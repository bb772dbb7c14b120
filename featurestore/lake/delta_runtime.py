"""The way into deltalake: what every call of it passes first, since it takes paths for addresses and survives no fork.

It decodes ``%41`` in the path of a folder, takes a backslash for a slash, and would read another folder than the one that was named.
Its runtime belongs to the process that first called it: in a child that was forked later every call ends in a panic, which is no
Exception. What a parent has read stays readable in such children (``Table.open`` keeps it); what needs deltalake is refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from featurestore.errors import FeatureStoreError, StoreError
from featurestore.lake.file_names import check_name

_OWNER = list[int]()
"""The process that called deltalake first: this one, or the parent that it was forked from."""
_PANICS = "pyo3_runtime"
"""Where Rust's panics come from: they are no Exception, and no module has them to be named."""
_MISREAD = re.compile(r"[\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}" + (r"|\\" if os.sep == "/" else ""))


@dataclass(frozen=True)
class deltalake_at:  # noqa: N801 (a context manager, read as a verb)
    """Make sure that deltalake may be called for a table, and that no panic of it leaves the block.

    Args:
        folder: The table's folder, absolute.
        error: What to raise.

    Raises:
        FeatureStoreError: deltalake would read another folder, another process called it before this one was forked, or it panics.
    """

    folder: Path
    error: type[FeatureStoreError] = StoreError

    def __enter__(self) -> None:
        check_table_path(self.folder, self.error)
        if not _OWNER:
            _OWNER.append(os.getpid())
        if _OWNER[0] != os.getpid():
            raise self.error(
                f"{self.folder} cannot be opened in this process ({os.getpid()}): it was forked from one ({_OWNER[0]}) that had "
                "read Delta tables, and deltalake works in that one alone. Start processes with "
                "multiprocessing.get_context('spawn'), or fork before the first call of a store."
            )

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and kind.__module__ == _PANICS:
            raise self.error(
                f"deltalake stopped at {self.folder}: {raised}. Look at its files, and make the call again."
            ) from raised


def check_table_path(folder: Path, error: type[FeatureStoreError]) -> None:
    r"""Refuse a path that deltalake would take for another.

    Raises:
        FeatureStoreError: it has a backslash, a control character such as a line break, ``%`` with two digits of base 16, or
            bytes that are no UTF-8.

    >>> check_table_path(Path("/data/100% of it"), StoreError)
    """
    check_name(folder, error)
    found = _MISREAD.search(str(folder))
    if found is not None:
        raise error(
            f"The path {str(folder)!r} has {found[0]!r} in it, which Delta tables cannot have in their paths. Rename that folder, or "
            "take another."
        )

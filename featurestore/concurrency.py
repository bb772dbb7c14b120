"""How many threads: two views at once, and one for the linear algebra of small matrices.

DuckDB, Arrow and numpy let go of the interpreter, so what one view reads or writes overlaps with another's sums.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Told = ParamSpec("_Told")
_AT_ONCE = 2


def each_of(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Call a function for each item, two at once, and return the results in the items' order.

    A failure starts no further items, waits for the one that runs, and is raised.

    >>> each_of(len, ["a", "bcd"])
    [1, 3]
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(function, item) for item in items]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(cancel_futures=True)
    failed = [future for future in running if not future.cancelled() and future.exception()]
    return [future.result() for future in failed or running]


def one_at_a_time(told: Callable[_Told, None]) -> Callable[_Told, None]:
    """Return a callback that is never entered twice at once."""
    lock = threading.Lock()

    def tell(*args: _Told.args, **kwargs: _Told.kwargs) -> None:
        with lock:
            told(*args, **kwargs)

    return tell


@contextmanager
def small_matrices() -> Iterator[None]:
    """Keep the linear algebra library to one thread: with matrices of a hundred rows, threads wait longer than they compute."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield

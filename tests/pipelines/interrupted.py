"""One verb on a store, in a process that is killed, or whose disk is full, in the middle.

Arguments: root, verb, the number of the flush to disk at which the process kills itself (0: never), the most bytes of a file
(0: as many as it likes).
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable

from featurestore.client import FeatureStore
from featurestore.errors import FeatureStoreError
from featurestore.timeline import Month, months_between

MONTHS = months_between(Month(2016, 1), Month(2016, 12))
VERBS: dict[str, Callable[[FeatureStore], object]] = {
    "ingest": lambda store: store.ingest("events"),
    "materialize": lambda store: store.materialize(),
    "audit": lambda store: store.audit(MONTHS),
    "recalibrate": lambda store: store.recalibrate(month=MONTHS),
}


def die_at(flush: int) -> None:
    """Kill this process, as kill -9 does, just before a flush: files are written, and not yet committed."""
    count, real = [0], os.fsync

    def fsync(handle: int) -> None:
        count[0] += 1
        if count[0] == flush:
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = fsync


def main() -> int:
    root, verb, flush, most_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    store = FeatureStore(root)
    if flush:
        die_at(flush)
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        VERBS[verb](store)
    except FeatureStoreError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

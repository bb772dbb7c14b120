"""Processes: services that are started together, and ended together with all that they have started.

Each service leads a process group of its own, in a session of its own: a Ctrl-C at the terminal reaches the one that started
them, and it alone decides in which order they end. What a service starts, and what that starts, is of its group, also after the
service itself has ended; on Linux such orphans become ours, so that the last of them is waited for and not only signalled.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Each asks for the end: Ctrl-C, ``kill``, the terminal that is closed."""
MAX_DIE_S = 5.0
"""How long what is killed may take to be gone."""
LOOK_EVERY_S = 0.1
PR_SET_CHILD_SUBREAPER = 36


class Service:
    """A process and its group.

    Args:
        name: What people call it.
        command: Program and arguments.
        environment: Its variables; all of them.
        patience_s: How long it and what it has started may take to end, when asked to, before they are killed.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], *, patience_s: float) -> None:
        self.name, self.patience_s = name, patience_s
        self._process = subprocess.Popen(  # noqa: S603 - the commands are ours
            list(command), env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True
        )

    @property
    def exit_code(self) -> int | None:
        """Exit code of the service; ``None`` while it runs."""
        self._reap()
        return self._process.returncode

    @property
    def is_left(self) -> bool:
        """Whether any process of the group is still there."""
        self._reap()
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # so says macOS of one that has ended and is not waited for
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of the group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _reap(self) -> None:
        """Wait for what has ended: the service, and orphans of its group."""
        while True:
            try:
                pid, status = os.waitpid(-self._process.pid, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._process.pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)


def end(services: Iterable[Service]) -> list[str]:
    """End services with all that they have started: all are asked at once, and each is killed when its patience is over.

    Returns:
        Names of the services that have left something all the same: a process in the middle of a system call that does not return.
    """
    left = [service for service in services if service.is_left]
    killed = set[Service]()
    asked_s = time.monotonic()
    for service in left:
        service.send(signal.SIGTERM)
    longest_s = max((service.patience_s for service in left), default=0.0) + MAX_DIE_S
    while left and time.monotonic() < asked_s + longest_s:
        time.sleep(LOOK_EVERY_S)
        left = [service for service in left if service.is_left]
        for service in left:
            if service not in killed and time.monotonic() > asked_s + service.patience_s:
                service.send(signal.SIGKILL)
                killed.add(service)
    return [service.name for service in left]


def wait_until(look: Callable[[], bool], *, most_s: float) -> bool:
    """Look until something is so, or the time is over; return whether it is."""
    until = time.monotonic() + most_s
    while not (is_so := look()) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
    return is_so


@contextmanager
def stops() -> Iterator[Callable[[], bool]]:
    """Take note of signals that ask for the end while the block runs, instead of being ended by them.

    A process that a script started in the background ignores SIGINT, and so would its children. It gets handlers here, which a
    program that it starts does not inherit: each child has the signals of a program that a person has started.
    A SIGHUP that is ignored, as under ``nohup``, stays so.

    Yields:
        Whether one has come.
    """
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        if (number, before[number]) != (signal.SIGHUP, signal.SIG_IGN):
            signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

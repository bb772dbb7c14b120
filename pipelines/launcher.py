"""The launcher: Dagster's own of one machine, which also notices that a run's process is gone.

Dagster's lets the code server watch the runs that it started. When the two die together, as when a machine restarts, nobody
is left to say so: the run would be called running for ever, and hold its places in the pools. Here the daemon looks at the
process itself, so all runs of one ``DAGSTER_HOME``, those of the command line too, must be on the daemon's machine.
"""

import os
import signal
import time
from pathlib import Path

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEventType
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._serdes import ConfigurableClassData

CODE_SERVER_WAIT_S = 120.0
"""How long a code server may take to come back before the runs that died with it are called failed all the same."""
CLOCK_SLACK_S = 60.0
"""How far the clock may have been set since a run began. It is worse to call a living run gone than to mistake for it another
process, which got a dead one's number within a minute."""


class WatchfulRunLauncher(DefaultRunLauncher):
    """Launches runs through the code server; answers for their processes whether or not that server lives."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._missed_at_s: dict[str, float] = {}
        super().__init__(inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Let the daemon's monitoring ask for the health of runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Tell whether the process of a started run lives.

        A run that has ended meanwhile has no process either; the monitoring looks at its status again before it calls it failed.
        One that died with its code server is called gone when that is back, or has been given up: Dagster tries once to start
        a failed run again, and cannot without a code server.
        """
        worker = self._worker(run.run_id)
        if worker is None or is_running(worker[0], at_s=worker[1]):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        missed_s = time.monotonic() - self._missed_at_s.setdefault(run.run_id, time.monotonic())
        if missed_s < CODE_SERVER_WAIT_S and not self._has_code_server(run.run_id):
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, "its process is gone; waiting for the code server", transient=True
            )
        del self._missed_at_s[run.run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"its process {worker[0]} is gone")

    def terminate(self, run_id: str) -> bool:
        """Stop a run, also one whose code server is gone. What is stopped on purpose is not started again.

        Returns:
            Whether there was a process to stop.
        """
        self._instance.add_run_tags(run_id, {MAX_RETRIES_TAG: "0"})
        try:
            is_stopped = super().terminate(run_id)  # type: ignore[no-untyped-call]
        except DagsterUserCodeUnreachableError:
            is_stopped = False
        return bool(is_stopped) or self._interrupt(run_id)

    def _has_code_server(self, run_id: str) -> bool:
        client = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
        if client is None:  # it was started without one
            return True
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError:
            return False
        return True

    def _interrupt(self, run_id: str) -> bool:
        worker = self._worker(run_id)
        if worker is None or not is_running(worker[0], at_s=worker[1]):
            return False
        os.kill(worker[0], signal.SIGINT)
        return True

    def _worker(self, run_id: str) -> tuple[int, float] | None:
        """Return the number of a run's process, and an instant at which it lived; ``None`` if it has not started."""
        for entry in self._instance.all_logs(run_id, of_type=DagsterEventType.RUN_START):
            if (pid := entry.get_dagster_event().pid) is not None:
                return pid, entry.timestamp
        return None


def is_running(pid: int, *, at_s: float) -> bool:
    """Tell whether the process that had a number at an instant still runs.

    A later process may have got the number since, so the start of the one that has it is looked at, where the system has a
    ``/proc``; elsewhere any process of that number counts. One that has ended and that no parent has asked for does not run.

    Args:
        pid: The process's number.
        at_s: Instant at which it ran, seconds since 1970.

    >>> is_running(os.getpid(), at_s=time.time())
    True
    >>> is_running(os.getpid(), at_s=0.0)  # that was another one
    False
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's: it runs
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):  # the latter when it ends while its file is read
        return not Path("/proc/self").exists()  # with a /proc, it has ended this moment
    # The name of the program stands in parentheses and may hold anything; the state and the 20th field after it are meant.
    fields = stat.rpartition(")")[2].split()
    # A process's start is counted by this clock, which a container shares with its host; its /proc/uptime may be its own.
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    started_s = booted_s + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return fields[0] not in "ZX" and started_s <= at_s + CLOCK_SLACK_S

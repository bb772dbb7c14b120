"""The user interface: Dagster's on one store, for a look at it, until Ctrl-C.

    python -m featurestore_pipelines.ui --root data/shop --first-month 2016-01 --last-month 2025-12

What ``dagster dev`` starts, with the launcher and the pools of the services in deploy/, so that two runs never write one table
here either: a code server, which loads the definitions anew when asked, the daemon and the webserver. They end together: at
Ctrl-C, SIGTERM and when one of them ends, with all that they have started, runs included, within seconds.

This module itself does without Dagster, whose import takes longer than the end of all processes may.
"""

import argparse
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from featurestore.errors import FeatureStoreError, StoreError
from featurestore.lake.store_format import STORE_FILE
from featurestore.lake.whole_file import make_folder, write_atomically
from featurestore_pipelines.processes import LOOK_EVERY_S, Service, adopt_orphans, end, stops, wait_until
from featurestore_pipelines.settings import (
    DEFINITIONS,
    DEFINITIONS_VARIABLE,
    FIRST_MONTH,
    FIRST_MONTH_VARIABLE,
    INSTANCE,
    LAST_MONTH_VARIABLE,
    ROOT,
    ROOT_VARIABLE,
)

HOST, PORT = "127.0.0.1", 3000
CODE, LOCATION = "featurestore_pipelines.definitions", "definitions"
SETTINGS = Path(__file__).with_name("dagster.yaml")
MAX_START_S = 180.0
PREPARATION, CODE_SERVER, DAEMON, WEBSERVER = "preparation", "code server", "daemon", "webserver"
PATIENCE_S = {PREPARATION: 1.0, CODE_SERVER: 6.0, DAEMON: 3.0, WEBSERVER: 1.0}
"""How long each may take to end. With the code server end its runs, which the next user interface starts again, as after a
restart of the machine. The webserver holds nothing, and would wait for a page that is open."""


@dataclass(frozen=True)
class Ui:
    """What is shown, and where.

    Args:
        root: The store's directory; Dagster's own is ``.dagster`` in it.
        definitions: Module with ``OBJECTS`` and ``TIMEZONE``, by its name or its path.
        first_month: First partition.
        last_month: Last partition; ``None`` goes on with the calendar.
        host: Where the webserver listens. It asks nobody for a password: an address that others reach is theirs to use.
        port: Where it listens on that host.
        code: Module that Dagster loads.
        settings: Dagster's, copied into its directory.
    """

    root: Path = Path(ROOT)
    definitions: str = DEFINITIONS
    first_month: str = FIRST_MONTH
    last_month: str | None = None
    host: str = HOST
    port: int = PORT
    code: str = CODE
    settings: Path = SETTINGS

    @property
    def home(self) -> Path:
        """Dagster's own directory."""
        return self.root.resolve() / INSTANCE

    @property
    def url(self) -> str:
        """Address under which a browser finds the user interface."""
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of all processes that are started."""
        return {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            ROOT_VARIABLE: str(self.root.resolve()),
            DEFINITIONS_VARIABLE: self.definitions,
            FIRST_MONTH_VARIABLE: self.first_month,
            LAST_MONTH_VARIABLE: self.last_month or "",
        }


def show(ui: Ui) -> int:
    """Run the user interface until it is asked to stop.

    Returns:
        0 when it was asked to; 1 when one of its processes ended by itself, or one would not end.

    Raises:
        StoreError: there is no store, there are no settings, or the port is taken.
    """
    if not (ui.root / STORE_FILE).is_file():
        raise StoreError(
            f"There is no store in {ui.root}. Make one with `featurestore up` or `featurestore demo`, or name another with "
            "--root."
        )
    if not ui.settings.is_file():
        raise StoreError(f"There are no settings of Dagster in {ui.settings}. Name a file with --settings.")
    check_port(ui)
    prepare_home(ui)
    adopt_orphans()
    services: list[Service] = []
    with stops() as is_asked, TemporaryDirectory(prefix="featurestore-") as folder:  # short: so must be a socket's path
        try:
            failed = _start(ui, Path(folder), services, is_asked)
            while not is_asked() and failed is None:
                time.sleep(LOOK_EVERY_S)
                failed = _failed(services)
        finally:
            left = end(services)
    if failed is not None:
        _say(f"The {failed.name} has ended by itself (exit code {failed.exit_code}), and the others with it.")
    for name in left:
        _say(f"Something that the {name} has started does not end.")
    return int(failed is not None or bool(left))


def check_port(ui: Ui) -> None:
    """Look whether the port is free: Dagster would say so from the middle of its start.

    Raises:
        StoreError: something listens there, or the host is none of ours.
    """
    try:
        with socket.create_server((ui.host, ui.port)):
            pass
    except OSError as error:
        raise StoreError(
            f"Nothing can listen at {ui.host}:{ui.port} ({error.strerror}). Name another port: `featurestore ui --port 3001`, or "
            "`make ui PORT=3001`."
        ) from error


def prepare_home(ui: Ui) -> None:
    """Make Dagster's directory with its settings; what has run there stays."""
    make_folder(ui.home)
    write_atomically(ui.home / "dagster.yaml", ui.settings.read_bytes())


def commands(ui: Ui, folder: Path) -> dict[str, list[str]]:
    """Name the processes and their commands, in the order of their start: the first makes storage and pools, and ends.

    Args:
        ui: What is shown.
        folder: Where the code server's socket is made; only we can read it.
    """
    workspace = folder / "workspace.yaml"
    code = folder / "code.sock"
    dagster = [sys.executable, "-m", "dagster"]
    served = ["--socket", str(code), "--module-name", ui.code, "--working-directory", str(Path.cwd()), "--log-level", "warning"]
    listening = ["--host", ui.host, "--port", str(ui.port)]
    return {
        PREPARATION: [sys.executable, "-m", "featurestore_pipelines.prepare"],
        CODE_SERVER: [*dagster, "code-server", "start", *served],
        DAEMON: [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(workspace)],
        WEBSERVER: [sys.executable, "-m", "featurestore_pipelines.webserver", *listening, "--workspace", str(workspace)],
    }


def write_workspace(ui: Ui, folder: Path) -> None:
    """Write where daemon and webserver find the code server; JSON is YAML."""
    server = {"location_name": LOCATION, "host": "localhost", "socket": str(folder / "code.sock")}
    (folder / "workspace.yaml").write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")


def _start(ui: Ui, folder: Path, services: list[Service], is_asked: Callable[[], bool]) -> Service | None:
    """Start all processes, each when the one before is ready; no more of them once the end is asked for.

    Returns:
        A process that has ended though it should not have; ``None`` when all run, or the end was asked for.
    """
    _say(f"Starting the Dagster UI of {ui.root}")
    write_workspace(ui, folder)
    for name, command in commands(ui, folder).items():
        service = Service(name, command, ui.environment, patience_s=PATIENCE_S[name])
        services.append(service)
        looks = (is_asked, lambda: _failed(services) is not None, _readiness(ui, folder, service))
        if not wait_until(partial(_any, looks), most_s=MAX_START_S):
            raise StoreError(f"The {name} was not ready within {MAX_START_S:.0f} s. What it has said stands above.")
        if is_asked() or _failed(services) is not None:
            return _failed(services)
    _say(f"Dagster UI: {ui.url}  (Ctrl-C ends it)")
    return None


def _any(looks: Sequence[Callable[[], bool]]) -> bool:
    return any(look() for look in looks)


def _readiness(ui: Ui, folder: Path, service: Service) -> Callable[[], bool]:
    return {
        PREPARATION: lambda: service.exit_code == 0,
        CODE_SERVER: (folder / "code.sock").exists,
        DAEMON: lambda: True,
        WEBSERVER: lambda: answers(ui),
    }[service.name]


def answers(ui: Ui) -> bool:
    """Tell whether the webserver answers requests."""
    try:
        with urllib.request.urlopen(f"{ui.url}/server_info", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _failed(services: Sequence[Service]) -> Service | None:
    """Return a process that has ended; the preparation may, if all went well."""
    fine = (None, 0)
    return next((each for each in services if each.exit_code not in (fine if each.name == PREPARATION else (None,))), None)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it was asked to stop, 1 when it could not go on."""
    parser = argparse.ArgumentParser(prog="python -m featurestore_pipelines.ui", description="Show a store in Dagster's UI.")
    parser.add_argument("--root", type=Path, default=Path(ROOT), help="the store's directory")
    parser.add_argument("--definitions", default=DEFINITIONS, help="module with OBJECTS and TIMEZONE")
    parser.add_argument("--first-month", default=FIRST_MONTH, help="first partition")
    parser.add_argument("--last-month", help="last partition; without it, the months go on with the calendar")
    parser.add_argument("--host", default=HOST, help="where to listen; nobody is asked for a password there")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--code", default=CODE, help="module that Dagster loads")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="Dagster's settings")
    try:
        return show(Ui(**vars(parser.parse_args(arguments))))
    except FeatureStoreError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

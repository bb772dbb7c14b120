"""The webserver: Dagster's, which takes orders only from its own pages and from programs, never from other pages of a browser.

    python -m featurestore_pipelines.webserver --workspace deploy/workspace.yaml --port 3000 --allow-host features.example.com

Whatever page somebody has open can send requests to a server on loopback. Dagster's runs a mutation, such as the start of a run, that
comes by GET or as a form, and looks at neither ``Host`` nor ``Origin``. Here a request is answered when

- its ``Host`` is one of ours, so that no foreign name can be made to point here (DNS rebinding);
- its ``Origin``, where it names one, is one of ours too, for websockets as well;
- it asks for something by GET, or orders something by POST as JSON, which a browser does not send across origins unasked.

GraphQL is answered to POST alone. With ``--read-only`` mutations are refused whoever sends them. Nobody is asked for a password:
that is the proxy's.
"""

import argparse
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HOST, PORT = "127.0.0.1", 3000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
STATEMENT_TIMEOUT_MS, POOL_RECYCLE_S, POOL_MAX_OVERFLOW = 15_000, 3_600, 20
_READING = ("GET", "HEAD", "OPTIONS")
_POLICY_VIOLATION = 1008

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def refusal(
    method: str | None, path: str, headers: Mapping[str, str], *, hosts: Collection[str] = LOOPBACK
) -> tuple[int, str] | None:
    """Say why a request is refused, with the status of the answer; ``None`` where it is not.

    Args:
        method: Of HTTP; ``None`` for a websocket.
        path: What is asked for.
        headers: By lower-case name.
        hosts: Names under which the server may be asked.

    >>> refusal("GET", "/runs", {"host": "localhost:3000"})
    >>> refusal("GET", "/graphql", {"host": "localhost:3000"})[0]
    405
    >>> refusal("POST", "/graphql", {"host": "localhost:3000", "origin": "https://evil.example"})[0]
    403
    """
    host = _host_of(f"//{headers.get('host', '')}")
    if host not in hosts:
        return (
            421,
            f"This server is not {host!r}. Ask it as one of {', '.join(sorted(hosts))}, or start it with --allow-host {host}.",
        )
    origin = headers.get("origin")
    if origin is not None and _host_of(origin) not in hosts:
        return 403, f"Pages of {origin} may not ask this server."
    if method is None or (method in _READING and not _is_graphql(path, headers)):
        return None
    if method in _READING:
        return 405, "GraphQL is answered to POST alone: what a link can do must change nothing."
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "Send JSON, with Content-Type: application/json."
    return None


def _is_graphql(path: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a reading request would be run as GraphQL; a person's browser gets a page to write queries on instead."""
    return path.rstrip("/").endswith("/graphql") and "text/html" not in headers.get("accept", "")


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


class Guard:
    """Answers what is refused, and hands the rest on.

    Args:
        app: What is guarded.
        hosts: Names under which the server may be asked.
    """

    def __init__(self, app: App, hosts: Collection[str] = LOOPBACK) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one connection."""
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            status, reason = refused
            plain = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": status, "headers": plain})
            await send({"type": "http.response.body", "body": f"{reason}\n".encode()})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if scope["type"] not in ("http", "websocket"):
            return None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        return refusal(scope.get("method"), scope["path"], headers, hosts=self._hosts)


def serve(*, workspace: Path, host: str, port: int, hosts: Collection[str], is_read_only: bool, log_level: str) -> None:
    """Answer until the process is asked to end.

    Args:
        workspace: File that says where the definitions are served.
        host: Address to listen at.
        port: Of that address.
        hosts: Names besides those of loopback under which the server may be asked.
        is_read_only: Whether mutations are refused.
        log_level: Least level of what Dagster and the server write.
    """
    import uvicorn
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster._utils.log import configure_loggers
    from dagster_webserver.version import __version__
    from dagster_webserver.webserver import DagsterWebserver

    configure_loggers(log_level=log_level.upper())
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_S, POOL_MAX_OVERFLOW)
        target = WorkspaceFileTarget(paths=[str(workspace)])
        with WorkspaceProcessContext(instance, target, version=__version__, read_only=is_read_only) as context:
            app = DagsterWebserver(context).create_asgi_app()
            uvicorn.run(Guard(app, LOOPBACK | {host} | set(hosts)), host=host, port=port, log_level=log_level)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m featurestore_pipelines.webserver", description="Serve Dagster's pages.")
    parser.add_argument("--workspace", type=Path, required=True, help="file that says where the definitions are served")
    parser.add_argument("--host", default=HOST, help="where to listen; nobody is asked for a password there")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a name under which a proxy asks")
    parser.add_argument("--read-only", action="store_true", help="refuse whatever would change something")
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error", "critical"])
    given = parser.parse_args(arguments)
    serve(
        workspace=given.workspace,
        host=given.host,
        port=given.port,
        hosts=given.allow_host,
        is_read_only=given.read_only,
        log_level=given.log_level,
    )


if __name__ == "__main__":
    main()

"""The webservers: what a foreign page may not do, by itself and through nginx; what viewers may not."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from featurestore_pipelines.webserver import refusal
from tests.pipelines.services import ROOT

NGINX = shutil.which("nginx")
OPERATORS, VIEWERS = "operate.features.example.com", "features.example.com"
VERSION = json.dumps({"query": "{ version }"})
CHANGE = "mutation { setNuxSeen }"
JSON = {"Content-Type": "application/json"}
Answer = tuple[int, str]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def serving(command: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[int]:
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        try:
            until = time.monotonic() + 90
            while process.poll() is None and time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            assert process.poll() is None
            yield port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("webserver")
    (folder / "workspace.yaml").write_text("load_from: []\n", encoding="utf-8")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return folder


def webserver(home: Path, *options: str) -> Iterator[int]:
    port = free_port()
    asked = ["--workspace", str(home / "workspace.yaml"), "--port", str(port), *options]
    command = [sys.executable, "-m", "featurestore_pipelines.webserver", *asked]
    with serving(command, port, {**os.environ, "DAGSTER_HOME": str(home)}) as served:
        yield served


@pytest.fixture(scope="module")
def operators(home: Path) -> Iterator[int]:
    yield from webserver(home, "--allow-host", OPERATORS)


@pytest.fixture(scope="module")
def viewers(home: Path, operators: int) -> Iterator[int]:
    yield from webserver(home, "--read-only", "--allow-host", VIEWERS)


def ask(port: int, method: str, path: str, body: str | None = None, *, tls_name: str | None = None, **headers: str) -> Answer:
    """Send one request; underscores in the names of headers stand for hyphens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    if tls_name is not None:
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        connection.sock = unchecked.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=tls_name)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, None),
        ("GET", "/graphql", {"accept": "text/html,*/*"}, None),
        ("GET", "/graphql", {}, 405),
        ("HEAD", "/graphql/", {}, 405),
        ("GET", "/prefix/graphql", {}, 405),
        ("POST", "/graphql", {"content-type": "application/json; charset=utf-8"}, None),
        ("POST", "/graphql", {"content-type": "application/json", "origin": "http://localhost:3000"}, None),
        ("POST", "/graphql", {"content-type": "text/plain"}, 415),
        ("POST", "/graphql", {"content-type": "text/plain; application/json"}, 415),
        ("POST", "/graphql", {"content-type": "application/graphql"}, 415),
        ("POST", "/report_asset_materialization/a", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ("POST", "/graphql", {}, 415),
        ("POST", "/graphql", {"content-type": "application/json", "origin": "null"}, 403),
        ("POST", "/graphql", {"content-type": "application/json", "origin": "http://localhost.evil.example"}, 403),
        ("POST", "/graphql", {"content-type": "application/json", "origin": "http://[evil"}, 403),
        ("GET", "/", {"host": "evil.example:3000"}, 421),
        ("GET", "/", {"host": "[::1]:3000"}, None),
        ("GET", "/", {"host": "localhost@evil.example"}, 421),
        ("GET", "/", {"host": ""}, 421),
        (None, "/graphql", {"origin": "http://127.0.0.1:3000"}, None),
        (None, "/graphql", {"origin": "https://evil.example"}, 403),
    ],
)
def test_only_its_own_pages_and_programs_give_orders(
    method: str | None, path: str, headers: dict[str, str], status: int | None
) -> None:
    refused = refusal(method, path, {"host": "127.0.0.1:3000"} | headers)
    assert (refused and refused[0]) == status


def test_a_page_is_shown_and_a_program_is_answered(operators: int) -> None:
    assert ask(operators, "GET", "/")[0] == 200
    status, text = ask(operators, "POST", "/graphql", VERSION, **JSON)
    assert (status, "version" in json.loads(text)["data"]) == (200, True)
    assert ask(operators, "POST", "/graphql", VERSION, Host=OPERATORS, **JSON)[0] == 200


def test_a_link_or_a_form_of_a_foreign_page_runs_nothing(operators: int) -> None:
    path = "/graphql?query=" + CHANGE.replace(" ", "%20")
    assert ask(operators, "GET", path)[0] == 405
    assert ask(operators, "POST", path, "", Content_Type="text/plain")[0] == 415
    assert ask(operators, "POST", "/graphql", VERSION, Origin="https://evil.example", **JSON)[0] == 403
    status, text = ask(operators, "GET", "/", Host="evil.example")
    assert status == 421
    assert "--allow-host evil.example" in text
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "a" * 22 + "==",
    }
    assert ask(operators, "GET", "/graphql", Origin="https://evil.example", **upgrade)[0] == 403


def test_viewers_see_and_change_nothing(operators: int, viewers: int) -> None:
    assert ask(viewers, "POST", "/graphql", VERSION, **JSON)[0] == 200
    permission = json.dumps({"query": "{ permissions { permission value } }"})
    for port, may in ((operators, True), (viewers, False)):
        told = json.loads(ask(port, "POST", "/graphql", permission, **JSON)[1])["data"]["permissions"]
        assert {each["permission"]: each["value"] for each in told}["launch_pipeline_execution"] is may


@pytest.fixture
def proxy(tmp_path: Path, operators: int, viewers: int) -> Iterator[int]:
    """deploy/nginx.conf on a port of loopback, with a certificate made now and the password of operators 'secret'."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    pem, key = tmp_path / "pem", tmp_path / "key"
    made = ["-newkey", "rsa:2048", "-subj", "/CN=features.example.com", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "1", *made], check=True, capture_output=True)
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "secret"], check=True, capture_output=True, text=True).stdout
    (tmp_path / "htpasswd").write_text(f"operator:{hashed}", encoding="utf-8")
    (tmp_path / "htpasswd").chmod(0o644)
    tmp_path.chmod(0o755)
    conf = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for said, meant in {
        "listen 443": f"listen 127.0.0.1:{port}",
        ":3000": f":{operators}",
        ":3001": f":{viewers}",
        "/etc/ssl/certs/features.example.com.pem": str(pem),
        "/etc/ssl/private/features.example.com.key": str(key),
        "/etc/nginx/featurestore.htpasswd": str(tmp_path / "htpasswd"),
    }.items():
        assert said in conf
        conf = conf.replace(said, meant)
    places = "".join(f"{kind}_temp_path {tmp_path / kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = f"user root; daemon off; pid {tmp_path / 'pid'}; error_log {tmp_path / 'log'}; events {{}}\n"
    main = main if os.getuid() == 0 else re.sub("^user root; ", "", main)
    (tmp_path / "nginx.conf").write_text(f"{main}http {{ access_log off; {places}\n{conf}\n}}\n", encoding="utf-8")
    with serving([NGINX, "-e", str(tmp_path / "log"), "-c", str(tmp_path / "nginx.conf")], port) as served:
        yield served


def test_the_proxy_lets_viewers_look_operators_in_and_nobody_elses_page_through(proxy: int) -> None:
    password = {"Authorization": "Basic b3BlcmF0b3I6c2VjcmV0"}
    own = {"Host": OPERATORS, "Origin": f"https://{OPERATORS}"}

    def post(name: str, **headers: str) -> int:
        return ask(proxy, "POST", "/graphql", VERSION, tls_name=name, **JSON, **headers)[0]

    assert post(VIEWERS, Host=VIEWERS) == 200
    assert post(VIEWERS, Host=VIEWERS, Origin=f"https://{VIEWERS}") == 200
    assert post(VIEWERS, Host=VIEWERS, Origin="https://evil.example") == 403
    assert post(OPERATORS, **own) == 401
    assert post(OPERATORS, **own, **password) == 200
    assert post(OPERATORS, **(own | {"Origin": "https://evil.example"}), **password) == 403
    with pytest.raises(ssl.SSLError):
        post("evil.example", Host="evil.example")

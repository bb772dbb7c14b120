"""Alerts against real receivers: a webhook and a mail server on this machine."""

from __future__ import annotations

import email
import email.policy
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from dagster._core.utils import make_new_run_id

from featurestore.client import FeatureStore
from featurestore.errors import DefinitionError
from featurestore.synth import Shop
from featurestore_pipelines.alerting.outbox import FIRST_WAIT_S, MAX_ATTEMPTS, MAX_DELIVERY_S, Message, Outbox
from featurestore_pipelines.alerting.receivers import Receiver, Receivers, receivers_from_environment
from featurestore_pipelines.sensors import tell
from tests.pipelines.operation import Operation

pytest.importorskip("apprise", reason="the extra 'alerts' is not installed")
# A plugin of apprise imports a module that Python 3.13 has no more; apprise does without it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SECRET = "s3cr3t-token"
MESSAGE = Message("sku__rate@2024-08:opened:2024-08", "[shop] opened: sku__rate", "**opened**: sku\\_\\_rate\n")


class Webhook:
    """A server that answers with a status, and keeps what it was sent when that was 200."""

    def __init__(self) -> None:
        self.status, self.bodies, self.calls = 200, list[dict[str, Any]](), 0
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.calls += 1
                if webhook.status == 200:
                    webhook.bodies.append(json.loads(body))
                self.send_response(webhook.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def receiver(self) -> Receiver:
        return Receiver(f"json://user:{SECRET}@127.0.0.1:{self.server.server_port}/hook")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def outbox(tmp_path: Path, now: list[float]) -> Outbox:
    return Outbox(tmp_path / "alerts", clock=lambda: now[0])


def test_a_message_reaches_a_webhook_once_however_often_it_is_found_again(outbox, webhook):
    for _ in range(3):
        outbox.put([MESSAGE])
        outbox.deliver(Receivers((webhook.receiver,)))
    assert [body["title"] for body in webhook.bodies] == [MESSAGE.title]
    assert "opened" in webhook.bodies[0]["message"]
    assert [message.name for message in outbox.messages("sent")] == [MESSAGE.name]


def test_a_message_reaches_a_mailbox(outbox):
    controller = pytest.importorskip("aiosmtpd.controller")
    mails: list[bytes] = []

    class Inbox:
        async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 (the library's name)
            mails.append(envelope.content)
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = controller.Controller(Inbox(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        outbox.put([MESSAGE])
        done = outbox.deliver(Receivers((Receiver(f"mailto://127.0.0.1:{port}?from=store@example.com&to=team@example.com"),)))
    finally:
        server.stop()
    assert done.sent == (MESSAGE.name,)
    (mail,) = (email.message_from_bytes(content, policy=email.policy.default) for content in mails)
    assert mail["subject"] == MESSAGE.title
    assert mail["to"] == "team@example.com"


def test_it_is_tried_again_later_and_later_and_then_laid_aside(outbox, webhook, now):
    webhook.status = 503
    outbox.put([MESSAGE])
    send, waits = Receivers((webhook.receiver,)), []
    for attempt in range(MAX_ATTEMPTS):
        assert outbox.deliver(send).failed or attempt == MAX_ATTEMPTS - 1
        assert not outbox.deliver(send).failed  # not before its time
        waits.append(FIRST_WAIT_S * 2**attempt)
        now[0] += waits[-1]
    assert webhook.calls == MAX_ATTEMPTS
    (dead,) = outbox.messages("dead")
    assert dead.attempts == MAX_ATTEMPTS
    assert not outbox.put([MESSAGE])


def test_it_arrives_when_the_receiver_is_back_and_only_where_it_is_missing(outbox, webhook, now):
    other = Webhook()
    webhook.status = 500
    outbox.put([MESSAGE])
    both = Receivers((webhook.receiver, other.receiver))
    assert outbox.deliver(both).failed == (MESSAGE.name,)
    webhook.status, now[0] = 200, now[0] + FIRST_WAIT_S
    assert outbox.deliver(both).sent == (MESSAGE.name,)
    assert (len(webhook.bodies), len(other.bodies)) == (1, 1)
    other.server.shutdown()
    other.server.server_close()


def test_a_crash_before_the_note_loses_nothing(outbox, webhook):
    outbox.put([MESSAGE])

    def killed(message: Message) -> Iterator[tuple[str, str | None]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox.deliver(killed)
    assert Outbox(outbox.folder).deliver(Receivers((webhook.receiver,))).sent == (MESSAGE.name,)


def test_a_crash_while_one_receiver_is_asked_sends_nothing_twice_to_those_before_it(outbox, webhook):
    other = Webhook()
    both = Receivers((webhook.receiver, other.receiver))

    def killed_at_the_second(message: Message) -> Iterator[tuple[str, str | None]]:
        yield next(both(message))
        raise KeyboardInterrupt

    outbox.put([MESSAGE])
    with pytest.raises(KeyboardInterrupt):
        outbox.deliver(killed_at_the_second)
    assert Outbox(outbox.folder).deliver(both).sent == (MESSAGE.name,)
    assert (webhook.calls, other.calls) == (1, 1)
    other.server.shutdown()
    other.server.server_close()


def test_a_crash_between_the_note_and_the_move_sends_nothing_twice(outbox, webhook, monkeypatch):
    outbox.put([MESSAGE])
    real = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.parent.name == "sent":
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            outbox.deliver(Receivers((webhook.receiver,)))
    assert len(outbox.messages("pending")) == 1
    assert Outbox(outbox.folder).deliver(Receivers((webhook.receiver,))).sent == (MESSAGE.name,)
    assert webhook.calls == 1
    assert not outbox.messages("pending")


def test_a_crash_in_the_middle_of_the_move_sends_nothing_twice(outbox, webhook, monkeypatch):
    outbox.put([MESSAGE])

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("featurestore.lake.storage.STORAGE.delete", killed)
        with pytest.raises(KeyboardInterrupt):
            outbox.deliver(Receivers((webhook.receiver,)))
    assert [len(outbox.messages(box)) for box in ("pending", "sent")] == [1, 1]
    again = Outbox(outbox.folder)
    assert not again.put([MESSAGE])
    assert again.deliver(Receivers((webhook.receiver,))).sent == ()
    assert webhook.calls == 1
    assert [len(outbox.messages(box)) for box in ("pending", "sent")] == [0, 1]


def test_a_delivery_that_takes_long_leaves_the_rest_to_the_next(outbox, now):
    messages = [replace(MESSAGE, name=f"run:{number}") for number in range(3)]

    def slow(message: Message) -> Iterator[tuple[str, str | None]]:
        now[0] += MAX_DELIVERY_S + 1
        yield "webhook", None

    outbox.put(messages)
    assert [len(outbox.deliver(slow).sent) for _ in range(4)] == [1, 1, 1, 0]


def test_no_secret_is_written_logged_or_shown(outbox, webhook, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    webhook.status = 500
    outbox.put([MESSAGE])
    outbox.deliver(Receivers((webhook.receiver,)))
    written = [path.read_text(encoding="utf-8") for path in outbox.folder.rglob("*.json")]
    shown = capfd.readouterr()
    told = [*written, caplog.text, shown.out, shown.err, repr(Receivers((webhook.receiver,)))]
    assert not any(SECRET in text for text in told)


def test_a_wrong_url_is_named_by_its_place():
    with pytest.raises(DefinitionError, match="URL 2 in FEATURESTORE_ALERT_URLS") as caught:
        receivers_from_environment({"FEATURESTORE_ALERT_URLS": f"json://127.0.0.1 nonsense://{SECRET}"})
    assert SECRET not in str(caught.value)
    assert receivers_from_environment({}).all == ()


def test_failed_runs_are_told_once_each_also_those_that_no_daemon_started(tmp_path: Path, webhook):
    with dg.DagsterInstance.ephemeral() as instance:
        operation = Operation(tmp_path, Shop(events=20_000), instance)
        receivers = Receivers((webhook.receiver,))
        cursor = tell(instance, operation.store, receivers, None)
        operation.land("2016-01", "2016-01")
        (path,) = (tmp_path / "landing" / "events").iterdir()
        path.write_bytes(path.read_bytes()[:1000])
        operation.run("2016-01", "2016-01", assets=["events"], raise_on_error=False)
        for _ in range(2):
            cursor = tell(instance, operation.store, receivers, cursor)
        tell(instance, operation.store, receivers, None)
    assert [body["type"] for body in webhook.bodies] == ["failure"]
    assert "events" in webhook.bodies[0]["message"]


def fail(instance: dg.DagsterInstance, *, at: datetime, tags: dict[str, str] | None = None) -> str:
    """Put a run into the storage that failed at an instant."""
    run = dg.DagsterRun(job_name="daily_refresh", run_id=make_new_run_id(), tags=tags)
    instance.run_storage.add_run(run)
    event = DagsterEvent(event_type_value=dg.DagsterEventType.RUN_FAILURE.value, job_name=run.job_name)
    instance.run_storage.handle_run_event(run.run_id, event, at)
    return f"run:{run.run_id}"


def test_runs_that_failed_at_one_instant_or_are_noted_late_are_told_once_each(tmp_path: Path, webhook):
    store, receivers = FeatureStore(tmp_path, timezone="UTC"), Receivers((webhook.receiver,))
    with dg.DagsterInstance.ephemeral() as instance:
        now = datetime.now(timezone.utc)
        fail(instance, at=now - timedelta(minutes=1))  # before anybody asked
        cursor, names = tell(instance, store, receivers, None), list[str]()
        for seconds in (20, 20, 10):
            names.append(fail(instance, at=now + timedelta(seconds=seconds)))
            cursor = tell(instance, store, receivers, cursor)
    assert [message.name for message in Outbox(store.layout.alerts).messages("sent")] == sorted(names)
    assert webhook.calls == 3


def test_who_is_told_of_a_run_that_dagster_starts_again_need_not_do_it(tmp_path: Path, webhook):
    store, receivers = FeatureStore(tmp_path, timezone="UTC"), Receivers((webhook.receiver,))
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = tell(instance, store, receivers, None)
        at = datetime.now(timezone.utc) + timedelta(seconds=1)
        for answer in ("true", "false"):
            fail(instance, at=at, tags={"dagster/will_retry": answer})
            cursor = tell(instance, store, receivers, cursor)
    texts = [body["message"] for body in webhook.bodies]
    assert ["Dagster starts it again" in text for text in texts] == [True, False]
    assert ["launch the run again" in text for text in texts] == [False, True]


def test_a_failed_run_is_told_when_it_is_known_whether_dagster_starts_it_again(tmp_path: Path, webhook):
    store, receivers = FeatureStore(tmp_path, timezone="UTC"), Receivers((webhook.receiver,))
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True}}, temp_dir=str(tmp_path)) as instance:
        cursor = tell(instance, store, receivers, None)
        fail(instance, at=datetime.now(timezone.utc) + timedelta(seconds=1))
        cursor = tell(instance, store, receivers, cursor)
        assert webhook.calls == 0
        (run,) = instance.get_runs()
        instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
        cursor = tell(instance, store, receivers, cursor)
    assert ["Dagster starts it again" in body["message"] for body in webhook.bodies] == [True]


def test_a_failed_run_that_never_says_whether_it_is_started_again_is_told_all_the_same(tmp_path: Path, webhook, monkeypatch):
    store, receivers = FeatureStore(tmp_path, timezone="UTC"), Receivers((webhook.receiver,))
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True}}, temp_dir=str(tmp_path)) as instance:
        cursor = tell(instance, store, receivers, None)
        at = datetime.now(timezone.utc) + timedelta(seconds=1)
        fail(instance, at=at)
        monkeypatch.setattr("featurestore_pipelines.sensors._now", lambda: at + timedelta(minutes=2))
        tell(instance, store, receivers, cursor)
    assert webhook.calls == 1

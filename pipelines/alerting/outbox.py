"""The outbox: messages as files, moved from ``pending`` to ``sent`` or, when nobody took them, to ``dead``.

alerts/pending/<name>.json    to be sent, with the receivers that have it already and the attempts so far
alerts/sent/<name>.json       what has been sent is never sent again
alerts/dead/<name>.json       given up after ``MAX_ATTEMPTS``; move a file back to ``pending`` to try again
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from featurestore.lake.json_files import read_json
from featurestore.lake.lock import exclusive
from featurestore.lake.storage import STORAGE

PENDING, SENT, DEAD = "pending", "sent", "dead"
MAX_ATTEMPTS = 6
FIRST_WAIT_S = 60.0
"""After the first failure; it doubles with each. Six attempts are half an hour."""
MAX_DELIVERY_S = 20.0
"""No message is begun later than this after a delivery began: a sensor's tick has 60 seconds, a silent receiver takes 15."""

Send = Callable[["Message"], Iterable[tuple[str, str | None]]]
"""Sends a message to the receivers that do not have it yet, one after the other: each with ``None``, or with why it failed."""


@dataclass(frozen=True)
class Message:
    """One thing to tell.

    Args:
        name: The same whenever the same thing is found.
        title: In one line.
        text: Markdown.
        is_urgent: Whether something has failed.
        received_by: Receivers that have it, by the digest of their address.
        attempts: How often sending has been tried.
        not_before_s: Earliest time of the next attempt, seconds since 1970.
        errors: What the receivers said at the last attempt.
    """

    name: str
    title: str
    text: str
    is_urgent: bool = False
    received_by: tuple[str, ...] = ()
    attempts: int = 0
    not_before_s: float = 0.0
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """What one attempt did, by the names of the messages."""

    sent: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outbox:
    """The messages of one store.

    Args:
        folder: Where they lie; made when needed.
        clock: Seconds since 1970.
    """

    folder: Path
    clock: Callable[[], float] = field(default=time.time, compare=False)

    def put(self, messages: Iterable[Message]) -> list[str]:
        """Add messages; those of a known name stay as they are.

        Returns:
            The names that are new.
        """
        added = []
        with self._locked():
            for message in messages:
                if not any(self._path(box, message.name).exists() for box in (PENDING, SENT, DEAD)):
                    self._write(PENDING, message)
                    added.append(message.name)
        return added

    def messages(self, box: str) -> list[Message]:
        """List the messages of ``pending``, ``sent`` or ``dead``, sorted by name."""
        listed = [_message(read_json(file.path)) for file in STORAGE.list_files(self.folder / box, ending=".json")]
        return sorted(listed, key=lambda message: message.name)

    def deliver(self, send: Send) -> Delivery:
        """Send what is due, and note each receiver's answer before the next is asked; one process at a time."""
        sent = list[str]()
        failed = list[str]()
        dead = list[str]()
        with self._locked():
            began_s = self.clock()
            for message in self.messages(PENDING):
                if any(self._path(box, message.name).exists() for box in (SENT, DEAD)):
                    STORAGE.delete(self._path(PENDING, message.name))  # a delivery was killed while it moved the message
                    continue
                now_s = self.clock()
                if now_s - began_s > MAX_DELIVERY_S:
                    break
                if message.not_before_s > now_s:
                    continue
                tried = self._attempt(message, send)
                if not tried.errors:
                    self._move(SENT, tried)
                    sent.append(tried.name)
                elif tried.attempts >= MAX_ATTEMPTS:
                    self._move(DEAD, tried)
                    dead.append(tried.name)
                else:
                    failed.append(tried.name)
        return Delivery(tuple(sent), tuple(failed), tuple(dead))

    def _attempt(self, message: Message, send: Send) -> Message:
        errors = list[str]()
        for receiver, error in send(message):
            if error is not None:
                errors.append(error)
                continue
            message = replace(message, received_by=(*message.received_by, receiver))
            self._write(PENDING, message)  # before the next is asked: it may take long, and be killed meanwhile
        tried = replace(
            message,
            attempts=message.attempts + 1,
            not_before_s=self.clock() + FIRST_WAIT_S * 2**message.attempts,
            errors=tuple(errors),
        )
        self._write(PENDING, tried)
        return tried

    def _move(self, box: str, message: Message) -> None:
        self._write(box, message)
        STORAGE.delete(self._path(PENDING, message.name))

    def _write(self, box: str, message: Message) -> None:
        text = json.dumps(asdict(message), indent=2, ensure_ascii=False)
        STORAGE.overwrite(self._path(box, message.name), text.encode())

    def _path(self, box: str, name: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100]
        return self.folder / box / f"{readable}.{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"

    def _locked(self) -> AbstractContextManager[None]:
        return exclusive(self.folder / "lock")


def _message(value: Mapping[str, object]) -> Message:
    lists = {name: tuple(item) for name, item in value.items() if isinstance(item, Sequence) and not isinstance(item, str)}
    return Message(**{**value, **lists})  # type: ignore[arg-type]

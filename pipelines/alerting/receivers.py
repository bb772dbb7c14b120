"""Receivers: chats, mailboxes and webhooks, each an apprise URL from the environment.

    FEATURESTORE_ALERT_URLS="mailtos://user:password@mail.example.com?to=team@example.com slack://token_a/token_b/token_c"

An URL holds its secret. It is never logged, stored or shown: a receiver is named by its scheme and a digest.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import DefinitionError, MissingExtraError, how_to_install
from featurestore_pipelines.alerting.outbox import Message

URLS_VARIABLE = "FEATURESTORE_ALERT_URLS"


@dataclass(frozen=True)
class Receiver:
    """One apprise URL.

    Args:
        url: With its secret; not part of the object's text.
    """

    url: str = field(repr=False)

    @property
    def name(self) -> str:
        """Scheme and digest of the URL, such as ``slack-1f0c2a9be4d0``."""
        return f"{self.url.partition(':')[0].lower()}-{hashlib.sha256(self.url.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Receivers:
    """All receivers; calling it sends a message to those that do not have it yet."""

    all: tuple[Receiver, ...]

    def __call__(self, message: Message) -> Iterator[tuple[str, str | None]]:
        """Send a message to one receiver after the other; yield each one's name with ``None``, or with what went wrong."""
        for receiver in self.all:
            if receiver.name not in message.received_by:
                yield receiver.name, _send(receiver, message)


def receivers_from_environment(environment: Mapping[str, str] = os.environ) -> Receivers:
    """Read the URLs, separated by white space, and check each.

    Raises:
        MissingExtraError: there are some, and apprise is not installed.
        DefinitionError: apprise cannot read one; it is named by its place, not by its text.
    """
    receivers = Receivers(tuple(Receiver(url) for url in environment.get(URLS_VARIABLE, "").split()))
    for place, receiver in enumerate(receivers.all, start=1):
        if not _opened().instantiate(receiver.url, suppress_exceptions=True):
            raise DefinitionError(
                f"URL {place} in {URLS_VARIABLE} is none that apprise can read. Compare it with those of apprise's documentation."
            )
    return receivers


def _send(receiver: Receiver, message: Message) -> str | None:
    apprise = _opened()
    opened = apprise()
    opened.add(receiver.url)
    kind = "failure" if message.is_urgent else "info"
    is_sent = opened.notify(body=message.text, title=message.title, notify_type=kind, body_format="markdown")
    return None if is_sent else f"{receiver.name} did not take it"


def _opened() -> Any:
    """Return apprise's class, with its own log kept quiet: it may hold parts of an URL."""
    try:
        from apprise import Apprise
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Alerts are sent through apprise, which is not installed. {how_to_install('alerts')}"
        ) from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return Apprise

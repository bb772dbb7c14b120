"""The end of an initial load: until when ``ingested_at`` says only when history was loaded in bulk."""

from __future__ import annotations

from datetime import date, datetime

from featurestore.errors import DefinitionError
from featurestore.timeline import UTC, zone_of


def initial_load_end(name: str, until: str | date | None, ingested_at: str | None, timezone: str | None) -> str | None:
    """Write the end of the initial load as ISO text: in UTC where its zone is known, else as the wall clock that a store places."""
    if until is None:
        return None
    if ingested_at is None:
        raise DefinitionError(
            f"Source {name!r} has initial_load_until={until!r} but no ingested_at: its events are known when they "
            "happen. Leave it out."
        )
    try:
        moment = datetime.fromisoformat(until) if isinstance(until, str) else until
    except ValueError as error:
        raise DefinitionError(
            f"Source {name!r} has initial_load_until={until!r}; write a date or time such as '2026-01-31' or a datetime."
        ) from error
    if not isinstance(moment, date):
        raise DefinitionError(f"Source {name!r} has initial_load_until={until!r}; write a date or time such as '2026-01-31'.")
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.utcoffset() is None:
        if timezone is None:
            return moment.replace(tzinfo=None, fold=0).isoformat()
        moment = moment.replace(tzinfo=zone_of(timezone), fold=0)
    return moment.astimezone(UTC).isoformat()

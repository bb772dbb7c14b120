"""Differences between a recorded definition and an object of its name: what each of them says where they disagree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from featurestore.errors import DefinitionError
from featurestore.spec.as_recorded import as_recorded
from featurestore.spec.document import document
from featurestore.spec.joined import JoinedView
from featurestore.spec.view import FeatureView

# What people read and no answer depends on.
_WORDS = ("owner", "description", "tags")
_OF_SOURCE = ("event_time", "event_id", "ingested_at", "initial_load_until", "timezone")
_MAX_SHOWN = 5
_LOAD_END = "initial_load_until of the source"
_MAX_OFFSET = timedelta(hours=16)


def check_recorded(recorded: FeatureView | JoinedView | None, given: FeatureView | JoinedView) -> None:
    """Refuse a view object that would be answered with another definition than its own.

    Args:
        recorded: What the store has recorded under the name; ``None``: nothing, which is said elsewhere.
        given: The object that a caller names features with. Owner, description and tags do not matter.

    Raises:
        DefinitionError: they differ; it shows where.
    """
    if recorded is None or recorded is given:
        return
    differences = list(_differences("", _meaning(recorded), _meaning(as_recorded(given, recorded))))
    if differences:
        more = len(differences) - _MAX_SHOWN
        raise DefinitionError(
            f"The view object {given.name!r} differs from the recorded view of its name: {'; '.join(differences[:_MAX_SHOWN])}"
            f"{f' (and {more} more)' if more > 0 else ''}. Apply the object first, or ask for the recorded view by its name."
        )


def _meaning(view: FeatureView | JoinedView) -> dict[str, Any]:
    """Return all that answers depend on, as a JSON value in which lists of named things are found by name."""
    value = {field: item for field, item in document(view).items() if field not in _WORDS}
    value["kind"] = "joined view" if isinstance(view, JoinedView) else "view"
    if isinstance(view, JoinedView):
        value["views"] = {each.name: _meaning(each) for each in view.views}
    else:
        source = document(view.source)
        value["key"] = list(view.entity.keys)
        value |= {f"{field} of the source": source[field] for field in _OF_SOURCE}
        value["key types"] = list(view.key_types)
    return {field: _by_name(item) for field, item in value.items()}


def _by_name(value: Any) -> Any:
    if value == []:
        return {}
    if isinstance(value, list) and all(isinstance(item, Mapping) and "name" in item for item in value):
        return {item["name"]: {field: _by_name(part) for field, part in item.items() if field != "name"} for item in value}
    return value


def _differences(path: str, recorded: Any, given: Any) -> Iterator[str]:
    if isinstance(recorded, Mapping) and isinstance(given, Mapping):
        for name in dict.fromkeys([*recorded, *given]):
            inner = f"{path}.{name}" if path else name
            if name not in given:
                yield f"{inner} is recorded only"
            elif name not in recorded:
                yield f"{inner} is in the object only"
            else:
                yield from _differences(inner, recorded[name], given[name])
    elif recorded != given and not (path.endswith(_LOAD_END) and _may_be_placed(recorded, given)):
        yield f"{path} is recorded as {recorded!r} and is {given!r} in the object"


def _may_be_placed(recorded: Any, given: Any) -> bool:
    """Tell whether a time that names no zone may be the recorded one: ``apply`` placed that in the zone of its store."""
    if not isinstance(recorded, str) or not isinstance(given, str):
        return False
    at, clock = datetime.fromisoformat(recorded), datetime.fromisoformat(given)
    return clock.tzinfo is None and at.tzinfo is not None and abs(clock - at.replace(tzinfo=None)) < _MAX_OFFSET

"""Feature views: features of one entity over one source, computed together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.aggregations import Aggregation, Last
from featurestore.spec.entity import Entity
from featurestore.spec.expression import Expression, parse
from featurestore.spec.names import checked_name
from featurestore.spec.outcome import Outcome
from featurestore.spec.source import EventSource
from featurestore.timeline import GRAINS, AnyWindow, length_steps

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Derived:
    """A feature computed from others of its view when it is read.

    Args:
        name: Feature name; the column is ``view__name``.
        expression: SQL over the view's own features (without the view's name), earlier derived ones included, and
            ``calibrated('calibration.parameter', by = feature)``.
        outcome: Says that the feature is a probability, and of what: the drift audit then scores it by what came.
    """

    name: str
    expression: str
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        checked_name(self.name, "a derived feature")
        if self.outcome is not None and not isinstance(self.outcome, Outcome):
            raise DefinitionError(
                f"derived {self.name!r}: outcome is {self.outcome!r}; write Outcome('returns_1y', trials=...)."
            )


@dataclass(frozen=True)
class Feature:
    """One output column of a view: of an aggregation over a window, or derived."""

    view: str
    name: str
    type: str
    aggregation: Aggregation | None = None
    window: AnyWindow | None = None
    expression: Expression | None = None
    outcome: Outcome | None = None

    @property
    def column(self) -> str:
        """Name in a training set: ``view__feature_window``."""
        return f"{self.view}__{self.name}"


@dataclass(frozen=True, init=False)
class FeatureView:
    """Features of one entity over one source, computed together.

    Args:
        name: Lower-case identifier.
        entity: Whom the features are about.
        source: Where the events come from.
        grain: Step of the windows' edges: ``"1d"``, ``"1h"`` or ``"event"``.
        aggregations: What is computed; at least one.
        derived: Features computed from these when they are read.
        join_keys: Entity key column to source column, where the names differ.
        event_time: Another timestamp column of the source by which events are counted.
        segments: Key columns and features whose values the drift audit monitors apart: ``("region",)``. A feature is of type
            string, or the last or first value of a whole number.
        delay: Length by which both edges of every window are moved back, for labels that need time to mature.
        owner: Who answers for it.
        description: One sentence.
        tags: Free labels.

    Raises:
        DefinitionError: anything that contradicts the source or itself.
    """

    name: str
    entity: Entity
    source: EventSource
    grain: str
    aggregations: tuple[Aggregation, ...]
    derived: tuple[Derived, ...]
    join_keys: tuple[tuple[str, str], ...]
    event_time: str
    segments: tuple[str, ...]
    delay: str | None
    owner: str | None
    description: str
    tags: tuple[tuple[str, str], ...]

    def __init__(
        self,
        name: str,
        *,
        entity: Entity,
        source: EventSource,
        aggregations: Sequence[Aggregation],
        grain: str = "1d",
        derived: Sequence[Derived] = (),
        join_keys: Mapping[str, str] | None = None,
        event_time: str | None = None,
        segments: Sequence[str] = (),
        delay: str | None = None,
        owner: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(entity, Entity) or not isinstance(source, EventSource):
            raise DefinitionError(f"view {name!r} needs an Entity and an EventSource, not {entity!r} and {source!r}.")
        for field, value in {
            "name": checked_name(name, "a feature view"),
            "entity": entity,
            "source": source,
            "grain": grain,
            "aggregations": all_of(Aggregation, aggregations, f"aggregations of view {name!r}"),
            "derived": all_of(Derived, derived, f"derived of view {name!r}"),
            "join_keys": tuple(sorted((join_keys or {}).items())),
            "event_time": event_time or source.event_time,
            "segments": all_of(str, (segments,) if isinstance(segments, str) else segments, f"segments of view {name!r}"),
            "delay": delay,
            "owner": owner,
            "description": description,
            "tags": tuple(sorted((tags or {}).items())),
        }.items():
            object.__setattr__(self, field, value)
        self._check()
        self._check_segments()
        self._check_outcomes()

    def _check(self) -> None:
        what = f"view {self.name!r}"
        if self.grain not in GRAINS:
            raise DefinitionError(f"{what} has the grain {self.grain!r}; use one of {', '.join(map(repr, GRAINS))}.")
        if not self.aggregations:
            raise DefinitionError(f"{what} has no aggregations; give at least one.")
        types = self.source.types
        for key in dict(self.join_keys):
            if key not in self.entity.keys:
                raise DefinitionError(
                    f"{what}: join_keys names {key!r}, no key of {self.entity.name!r}.{did_you_mean(key, self.entity.keys)}"
                )
        for key, column in self.key_columns:
            if column not in types:
                raise DefinitionError(
                    f"{what}: source {self.source.name!r} has no column {column!r} for the key {key!r}; "
                    f"join_keys={{{key!r}: ...}} names another.{did_you_mean(column, types)}"
                )
            if types[column] not in ("int64", "string"):
                raise DefinitionError(f"{what}: the key column {column!r} is {types[column]}; keys are int64 or string.")
        if types.get(self.event_time) != "timestamp":
            raise DefinitionError(
                f"{what}: event_time={self.event_time!r} is no timestamp column.{did_you_mean(self.event_time, types)}"
            )
        if self.delay == "lifetime":
            raise DefinitionError(f"{what}: delay cannot be 'lifetime'.")
        _ = self.delay_steps
        for aggregation in self.aggregations:
            aggregation.check(types, owner=what, wide=self.source.wide)
            aggregation.check_grain(self.grain)
            for _, window in aggregation.outputs():
                window.check(self.grain)

    def _check_segments(self) -> None:
        what = f"view {self.name!r}"
        features = {feature.name: feature for feature in self.features}
        for name in self.segments:
            feature = features.get(name)
            if self.segments.count(name) > 1:
                raise DefinitionError(f"{what} names the segment {name!r} twice.")
            if name in self.entity.keys:
                continue
            if feature is None:
                near = did_you_mean(name, [*self.entity.keys, *features])
                raise DefinitionError(f"{what}: the segment {name!r} is neither a key column nor a feature of it.{near}")
            is_code = isinstance(feature.aggregation, Last) and feature.type in ("int64", "int32")
            if feature.type != "string" and not is_code:
                raise DefinitionError(
                    f"{what}: the segment {name!r} is a feature of type {feature.type}; a segment is a key column, a string, or the "
                    "last or first value of a whole number."
                )

    def _check_outcomes(self) -> None:
        aggregations = {feature.name: feature.aggregation for feature in self.features}
        for feature in self.forecasts:
            what = f"view {self.name!r}: derived {feature.name!r}"
            if feature.type != "double":
                raise DefinitionError(f"{what} has an outcome, but is a {feature.type}; a forecast is a probability.")
            if feature.outcome:
                feature.outcome.check(aggregations, owner=what)

    @property
    def forecasts(self) -> tuple[Feature, ...]:
        """The features that are forecasts of a declared outcome."""
        return tuple(feature for feature in self.features if feature.outcome is not None)

    @property
    def delay_steps(self) -> int:
        """Steps of the grain by which the view's windows are moved back."""
        return 0 if self.delay is None else length_steps(self.delay, self.grain)

    @property
    def key_columns(self) -> tuple[tuple[str, str], ...]:
        """Pairs of entity key and source column, in key order."""
        names = dict(self.join_keys)
        return tuple((key, names.get(key, key)) for key in self.entity.keys)

    @property
    def key_types(self) -> tuple[str, ...]:
        """Types of the entity's key columns, in key order."""
        return tuple(self.source.types[column] for _, column in self.key_columns)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All features in declared order, the derived ones last."""
        types: dict[str, str] = {}
        features: list[Feature] = []
        what = f"view {self.name!r}"
        for aggregation in self.aggregations:
            kind = aggregation.result_type(self.source.types)
            for name, window in aggregation.outputs():
                _take(name, kind, types, what=what)
                features.append(Feature(self.name, name, kind, aggregation=aggregation, window=window))
        return (*features, *derived_features(self.name, self.derived, types, what=what))

    def feature(self, name: str) -> Feature:
        """Return the feature of that name (without the view).

        Raises:
            DefinitionError: there is none.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise DefinitionError(
            f"view {self.name!r} has no feature {name!r}.{did_you_mean(name, [f.name for f in self.features])}"
        )

    def operand(self, name: str) -> tuple[FeatureView, Feature]:
        """Return the feature that an expression means by a name, and its view."""
        return self, self.feature(name)


def derived_features(view: str, derived: Sequence[Derived], types: dict[str, str], *, what: str) -> tuple[Feature, ...]:
    """Check derived features one after the other.

    Args:
        view: Name of their view.
        derived: The features.
        types: Columns that the first expression may use; each feature is added to it.
        what: Names the view in errors.

    Raises:
        DefinitionError: an expression is refused, is no value, or a name is taken.
    """
    features = []
    for item in derived:
        expression = parse(item.expression, types, allow_calibrated=True)
        if expression.family not in _TYPE_OF_FAMILY:
            raise DefinitionError(f"{what}: derived {item.name!r} gives a {expression.family}, not a value.")
        kind = _TYPE_OF_FAMILY[expression.family]
        _take(item.name, kind, types, what=what)
        features.append(Feature(view, item.name, kind, expression=expression, outcome=item.outcome))
    return tuple(features)


def _take(name: str, kind: str, types: dict[str, str], *, what: str) -> None:
    if name in types:
        raise DefinitionError(f"{what} has two features named {name!r}; rename one.")
    types[name] = kind


def all_of(kind: type[_Item], items: Sequence[_Item], what: str) -> tuple[_Item, ...]:
    """Return a list of definitions as a tuple when all are of one kind, else raise a ``DefinitionError``."""
    listed = tuple(items) if isinstance(items, Iterable) else (items,)
    if not isinstance(items, Iterable) or not all(isinstance(item, kind) for item in listed):
        raise DefinitionError(f"{what} are {items!r}; give a list of {kind.__name__} objects.")
    return listed


_TYPE_OF_FAMILY = {"number": "double", "string": "string", "bool": "bool", "timestamp": "timestamp", "date": "date"}

"""The questions that all sections ask: five measures over windows, of users and of SKUs."""

from __future__ import annotations

from collections.abc import Sequence

import featurestore as fs

LONG = ("30d", "90d", "180d", "1y", "2y", "5y", "10y", "lifetime")
SHORT = ("1d", "3d", "7d", "14d", "30d", "60d", "90d", "180d")
LENGTHS = ("180d", "1y", "2y", "5y", "10y")
WIDE = tuple(dict.fromkeys([*LONG, *SHORT, *(f"{45 * n}d" for n in range(3, 72))]))[:80]
ENTITIES = ("user", "sku")
PLURALS = {"user": "users", "sku": "SKUs"}

# Name to (column that is summed, None for a count; condition).
MEASURES: dict[str, tuple[str | None, str | None]] = {
    "events": (None, None),
    "buys": (None, "event_type = 'buy'"),
    "spend": ("amount_cents", "event_type = 'buy'"),
    "units": ("quantity", "event_type = 'buy'"),
    "returns": (None, "event_type = 'return'"),
}


def entity(name: str) -> fs.Entity:
    """Return the user or the SKU."""
    return fs.Entity(name, key=f"{name}_id")


def make_view(
    source: fs.EventSource, of: str, windows: Sequence[str] = WIDE, *, name: str | None = None, grain: str = "1d"
) -> fs.FeatureView:
    """Declare the measures of an entity over windows; by default so many that they make 400 features."""
    return fs.FeatureView(
        name or of,
        entity=entity(of),
        source=source,
        grain=grain,
        aggregations=[
            fs.Count(measure, where=where, windows=tuple(windows))
            if column is None
            else fs.Sum(measure, column, where=where, windows=tuple(windows))
            for measure, (column, where) in MEASURES.items()
        ],
    )


def references(view: str, windows: Sequence[str] = LONG, measures: Sequence[str] = tuple(MEASURES)) -> list[str]:
    """List features of a view: measures over windows."""
    return [f"{view}:{measure}_{window}" for measure in measures for window in windows]


def length_days(window: str) -> int | None:
    """Return a window's days; ``None`` for lifetime."""
    if window == "lifetime":
        return None
    return int(window[:-1]) * (365 if window[-1] == "y" else 1)


def measure_sql(measure: str) -> str:
    """Render what one event adds to a measure."""
    column, where = MEASURES[measure]
    return f"CASE WHEN {where or 'true'} THEN {column or 1} ELSE 0 END"

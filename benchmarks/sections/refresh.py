"""The daily refresh: a day is ingested and materialized, and the features of all users are made for the next midnight."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import featurestore as fs
from benchmarks.cost import Cost, median, timed
from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.law import EPOCH, Law
from benchmarks.stores import law_store, scratch
from featurestore.synth import TIMEZONE
from featurestore.timeline import day_start_us, from_us

NEXT_DAY = date(2025, 11, 15)
YEARS = (1, 5, 10)
DAYS = 4
VERBS = ("ingest", "materialize", "get_batch_features")


def measure(bench: Bench) -> Findings:
    """Refresh histories of 1, 5 and 10 years with the same users and as many events a day."""
    costs = {years: refreshed(bench, years) for years in YEARS}
    whole = {years: {length: cost["all"] for length, cost in costs[years].items()} for years in YEARS}
    rows = [
        *(
            _row(f"daily refresh at {years} years of history / at 1 year", whole[years]["long"], whole[1]["long"])
            for years in YEARS[1:]
        ),
        _row("daily refresh with 10 y windows / 6 months, 10 years of history", whole[10]["long"], whole[10]["short"]),
        *(
            _row(f"of it {verb}, at 10 years / at 1 year", costs[10]["long"][verb], costs[1]["long"][verb], at_most=None)
            for verb in VERBS
        ),
    ]
    series = {
        f"{length} windows": [(float(years), whole[years][length]["cpu_s"]) for years in YEARS] for length in ("long", "short")
    }
    return Findings(tuple(rows), series)


def _row(what: str, cost: dict[str, Any], other: dict[str, Any], *, at_most: float | None = 1.10) -> Row:
    note = f"{seconds(cost)} / {seconds(other)}"
    return Row(what, cost["cpu_s"] / other["cpu_s"], at_most=at_most, wall=cost["wall_s"] / other["wall_s"], note=note)


def refreshed(bench: Bench, years: int) -> dict[str, Any]:
    """Refresh a copy of a store of so many years -> per length of windows the costs of the verbs and of all."""
    first = NEXT_DAY.replace(year=NEXT_DAY.year - years)
    events = bench.size.events * years // max(YEARS)
    size = bench.size
    law = Law(events, size.users, size.skus, first=str(first), end=str(NEXT_DAY), has_roll_call=True)
    with scratch(law_store(bench.data, law, kind="long_short")) as store:
        return isolated(refresh, root=store, law=asdict(law), first=str(NEXT_DAY), days=DAYS)


def refresh(root: str, law: dict[str, Any], first: str, days: int) -> dict[str, dict[str, Any]]:
    """Refresh day after day; the first does not count."""
    store = fs.FeatureStore(root)
    drawn = Law(**law)
    costs: dict[str, dict[str, list[Cost]]] = {length: {verb: [] for verb in VERBS} for length in ("long", "short")}
    for number in range(days):
        day = date.fromisoformat(first) + timedelta(days=number)
        rows = drawn.between(day, day + timedelta(days=1))
        ingested, _ = timed(lambda rows=rows: store.ingest("events", rows))
        midnight = from_us(day_start_us((day - EPOCH).days + 1, TIMEZONE))
        for length, verbs in costs.items():
            view = f"user_{length}"
            materialized, _ = timed(lambda view=view: store.materialize([view]))
            read, _ = timed(lambda view=view, moment=midnight: store.get_batch_features(moment, [view]).num_rows)
            for verb, cost in zip(VERBS, (ingested, materialized, read), strict=True):
                verbs[verb] += [cost] if number else []
    return {length: _medians(verbs) for length, verbs in costs.items()}


def _medians(verbs: dict[str, list[Cost]]) -> dict[str, Any]:
    each = {verb: median(costs) for verb, costs in verbs.items()}
    whole = median([ingested + materialized + read for ingested, materialized, read in zip(*verbs.values(), strict=True)])
    return {name: asdict(cost) for name, cost in {**each, "all": whole}.items()}

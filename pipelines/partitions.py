"""Partitions: months of the business calendar, named ``2024-08`` as everywhere in the store."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from featurestore.timeline import Month
from featurestore_pipelines.settings import FIRST_MONTH, FIRST_MONTH_VARIABLE, LAST_MONTH_VARIABLE

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def monthly_partitions(
    timezone: str, *, first: Month | str = FIRST_MONTH, last: Month | str | None = None
) -> dg.MonthlyPartitionsDefinition:
    """Make the one partitions definition that all assets share.

    Args:
        timezone: The store's business time zone.
        first: First month.
        last: Last month; ``None`` goes on with the calendar, up to the month in progress.

    >>> monthly_partitions("Asia/Shanghai", first="2016-01", last="2016-03").get_partition_keys()
    ['2016-01', '2016-02', '2016-03']
    """
    end = None if last is None else str(Month.parse(last).next())
    return dg.MonthlyPartitionsDefinition(
        str(Month.parse(first)), end_date=end, timezone=timezone, fmt="%Y-%m", end_offset=1 if last is None else 0
    )


def partitions_from_environment(
    timezone: str, *, environment: Mapping[str, str] = os.environ
) -> dg.MonthlyPartitionsDefinition:
    """Make the partitions that ``FEATURESTORE_FIRST_MONTH`` and ``FEATURESTORE_LAST_MONTH`` name."""
    first = environment.get(FIRST_MONTH_VARIABLE) or FIRST_MONTH
    return monthly_partitions(timezone, first=first, last=environment.get(LAST_MONTH_VARIABLE) or None)


def months_of(context: dg.AssetExecutionContext) -> list[Month]:
    """List the months that a run is for, one or a range, ascending."""
    return sorted(Month.parse(key) for key in context.partition_keys)


def finished_months_of(context: dg.AssetExecutionContext, timezone: str) -> list[Month]:
    """List those of a run's months that are over; a snapshot or an audit of the month in progress would be one of half a month."""
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    months = months_of(context)
    finished = [month for month in months if month.interval(timezone).end_us <= now_us]
    for month in months[len(finished) :]:
        context.log.warning(f"{month} is not over; nothing is made of it.")
    return finished


def interval_of(months: Sequence[Month]) -> tuple[Month, Month]:
    """Return ``[first month, month after the last)``."""
    return months[0], months[-1].next()


def last_month_of(context: dg.AssetCheckExecutionContext) -> Month | None:
    """Return the last month that the run of a check is for; ``None`` if it is for none."""
    tags = context.run.tags
    key = tags.get(RANGE_END) or tags.get("dagster/partition")
    return None if key is None else Month.parse(key)

"""Schedules, in the business time zone; ``FEATURESTORE_AUTOMATION`` switches all of them on.

daily_refresh        03:30              the month of yesterday: ingest, tiles, ledgers, services
month_close          second day, 04:00  the month before: everything, the audit and the proof of the ledgers
peak_refresh         every two hours    on peak days of the retail calendar: the views with an hourly grain
weekly_maintenance   Sunday, 05:00      vacuum; what training sets are pinned to stays
"""

import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from featurestore.calendar import is_peak_day
from featurestore.errors import DefinitionError
from featurestore.timeline import Month

MONTH_CLOSE, DAILY_REFRESH, PEAK_REFRESH, MAINTENANCE = "month_close", "daily_refresh", "peak_refresh", "weekly_maintenance"
CRONS = {DAILY_REFRESH: "30 3 * * *", MONTH_CLOSE: "0 4 2 * *", PEAK_REFRESH: "0 */2 * * *", MAINTENANCE: "0 5 * * 0"}
PEAK_MAX_RUNTIME_S = 5400
"""A refresh that is not done when the next is due is stopped; readers keep what was committed last."""
AUTOMATION_VARIABLE = "FEATURESTORE_AUTOMATION"


def is_automatic(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether schedules and sensors run without being switched on one by one: ``on`` or ``off``, the default.

    Raises:
        DefinitionError: the variable holds something else.
    """
    value = environment.get(AUTOMATION_VARIABLE) or "off"
    if value not in ("on", "off"):
        raise DefinitionError(f"{AUTOMATION_VARIABLE} is {value!r}; write on or off.")
    return value == "on"


def build_schedules(
    partitions: dg.MonthlyPartitionsDefinition, status: dg.DefaultScheduleStatus, *, has_hourly_views: bool
) -> list[dg.ScheduleDefinition]:
    """Make all schedules.

    Args:
        partitions: The months, in the business time zone.
        status: Whether they run as soon as a daemon loads them.
        has_hourly_views: Whether there is anything to do on peak days.
    """
    every_sunday = dg.ScheduleDefinition(
        name="every_sunday",
        job_name=MAINTENANCE,
        cron_schedule=CRONS[MAINTENANCE],
        execution_timezone=partitions.timezone,
        default_status=status,
        description="Delete the files that no version in use needs.",
    )
    months = [build_month_schedule(partitions, status), build_daily_schedule(partitions, status)]
    return [*months, *([build_peak_schedule(partitions, status)] if has_hourly_views else []), every_sunday]


def build_month_schedule(
    partitions: dg.MonthlyPartitionsDefinition, status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED
) -> dg.ScheduleDefinition:
    """Make the schedule that closes a month on the second day of the next: the last day's late events have arrived."""

    @dg.schedule(
        job_name=MONTH_CLOSE,
        name="second_day_of_the_month",
        cron_schedule=CRONS[MONTH_CLOSE],
        execution_timezone=partitions.timezone,
        default_status=status,
        description="Close the month before: ingest it, bring its features up to date, audit them.",
    )
    def second_day_of_the_month(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = _today(context, partitions)
        return _request(context, partitions, Month.parse(today - timedelta(days=today.day)), run_key=None)

    return second_day_of_the_month


def build_daily_schedule(
    partitions: dg.MonthlyPartitionsDefinition, status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED
) -> dg.ScheduleDefinition:
    """Make the schedule that brings yesterday's month up to date every morning."""

    @dg.schedule(
        job_name=DAILY_REFRESH,
        name="every_morning",
        cron_schedule=CRONS[DAILY_REFRESH],
        execution_timezone=partitions.timezone,
        default_status=status,
        description="Ingest the month of yesterday and bring its features up to date.",
    )
    def every_morning(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        yesterday = _today(context, partitions) - timedelta(days=1)
        return _request(context, partitions, Month.parse(yesterday), run_key=f"daily:{yesterday}")

    return every_morning


def build_peak_schedule(
    partitions: dg.MonthlyPartitionsDefinition, status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED
) -> dg.ScheduleDefinition:
    """Make the schedule that brings the views with an hourly grain up to date every two hours of a peak day."""

    @dg.schedule(
        job_name=PEAK_REFRESH,
        name="every_two_hours_of_a_peak_day",
        cron_schedule=CRONS[PEAK_REFRESH],
        execution_timezone=partitions.timezone,
        default_status=status,
        description="On 618, Double 11 and before Spring Festival: refresh what is counted by the hour.",
    )
    def every_two_hours_of_a_peak_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = _today(context, partitions)
        if not is_peak_day(today):
            return dg.SkipReason(f"{today} is no peak day.")
        run_key = f"peak:{context.scheduled_execution_time.isoformat()}"
        return _request(context, partitions, Month.parse(today), run_key=run_key, max_runtime_s=PEAK_MAX_RUNTIME_S)

    return every_two_hours_of_a_peak_day


def _today(context: dg.ScheduleEvaluationContext, partitions: dg.MonthlyPartitionsDefinition) -> date:
    due: datetime = context.scheduled_execution_time
    return due.astimezone(ZoneInfo(partitions.timezone)).date()


def _request(
    context: dg.ScheduleEvaluationContext,
    partitions: dg.MonthlyPartitionsDefinition,
    month: Month,
    *,
    run_key: str | None,
    max_runtime_s: int | None = None,
) -> dg.RunRequest | dg.SkipReason:
    if str(month) not in partitions.get_partition_keys(context.scheduled_execution_time):
        return dg.SkipReason(f"{month} is no partition: there is nothing to do.")
    tags = {} if max_runtime_s is None else {"dagster/max_runtime": str(max_runtime_s)}
    return dg.RunRequest(run_key=run_key or str(month), partition_key=str(month), tags=tags)

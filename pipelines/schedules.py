"""Schedules, in the business time zone; switched on in the UI or with ``dagster schedule start``."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from featurestore.timeline import Month

MONTH_CLOSE = "month_close"
SECOND_DAY_AT_FOUR = "0 4 2 * *"


def build_month_schedule(partitions: dg.MonthlyPartitionsDefinition) -> dg.ScheduleDefinition:
    """Make the schedule that closes a month on the second day of the next: the last day's late events have arrived."""
    zone = ZoneInfo(partitions.timezone)

    @dg.schedule(
        job_name=MONTH_CLOSE,
        name="second_day_of_the_month",
        cron_schedule=SECOND_DAY_AT_FOUR,
        execution_timezone=partitions.timezone,
        description="Close the month before: ingest it, bring its features up to date, audit them.",
    )
    def second_day_of_the_month(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(zone).date()
        month = str(Month.parse(today - timedelta(days=today.day)))
        if month not in partitions.get_partition_keys(context.scheduled_execution_time):
            return dg.SkipReason(f"{month} is no partition: there is nothing to close.")
        return dg.RunRequest(run_key=month, partition_key=month)

    return second_day_of_the_month

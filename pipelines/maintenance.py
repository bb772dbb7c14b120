"""Maintenance: the weekly job that deletes what no version in use needs."""

import dagster as dg
from pydantic import Field

from featurestore.lake.vacuum import RETENTION_HOURS
from featurestore_pipelines.assets.shared import Blueprint
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.resources import StoreResource
from featurestore_pipelines.schedules import MAINTENANCE


class VacuumConfig(dg.Config):
    """How long replaced files are kept."""

    retention_hours: int = Field(default=RETENTION_HOURS, ge=1, description="Younger files stay; more than the longest write.")


def build_maintenance(blueprint: Blueprint) -> dg.JobDefinition:
    """Make the job that vacuums the store; versions that training sets are pinned to stay."""

    @dg.op(name="vacuum", description="Delete replaced files and those that crashed writers left.")
    def vacuum(context: dg.OpExecutionContext, config: VacuumConfig, store: dg.ResourceParam[StoreResource]) -> None:
        with readable_failures():
            report = blueprint.open(store).vacuum(retention_hours=config.retention_hours)
            context.log.info(str(report))

    @dg.job(name=MAINTENANCE, description="Delete what no version in use needs; pins and publications stay.")
    def weekly_maintenance() -> None:
        vacuum()

    return weekly_maintenance

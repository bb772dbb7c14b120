"""Prepare: what Dagster's storage must hold before its processes start.

    python -m featurestore_pipelines.prepare

Makes the storage below ``DAGSTER_HOME``, which several processes would spoil if each made it at once, and the pools: Dagster
gives a pool its default limit when it first sees it in the queue, and lets the runs of that moment pass unchecked.
"""

import dagster as dg

from featurestore_pipelines.assets.shared import STAGES


def prepare(instance: dg.DagsterInstance) -> None:
    """Make the pools of all stages, each with the default limit; a limit that was set by hand stays."""
    known = {pool.name for pool in instance.event_log_storage.get_pool_limits()}
    for stage in STAGES:
        if stage not in known:
            instance.event_log_storage.initialize_concurrency_limit_to_default(stage)


if __name__ == "__main__":
    with dg.DagsterInstance.get() as opened:
        prepare(opened)

"""A shop with a planted change that nobody has answered yet: from 2018 on, half of what was kept comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.synth import TIMEZONE, Shop
from featurestore.timeline import Month, months_between
from featurestore_pipelines.event_log import open_instance
from featurestore_pipelines.resources import StoreResource
from tests.pipelines.operation import Operation

FIRST, CHANGED, CLOSED, OPEN = Month(2016, 1), Month(2018, 1), Month(2018, 3), Month(2018, 4)
FEATURE, CALIBRATION = "sku_returns__return_rate_90d", "return_prior"
DEFINITIONS = "tests.pipelines.tiny_shop"
NEW_IDS = 10**12
DAY_US = 86_400_000_000


def prepare(root: Path, *, events: int = 150_000) -> dict[str, str]:
    """Land all months, bring all but the last up to date through Dagster, audit them; the last one is still to be closed.

    The calibrations have their first versions, and nobody has looked at the change.

    Returns:
        What ``definitions.py`` is told by its environment.
    """
    home, setting = root / ".dagster", StoreResource(root=str(root), definitions=DEFINITIONS)
    setting.store()
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with open_instance(home) as instance:
        operation = Operation(root, Shop(events=events, faults=False), instance)
        send_back(operation.land(str(FIRST), str(OPEN)))
        operation.run(str(FIRST), str(CLOSED), assets=["events", "tiles", "ledger", "features"])
        operation.store.audit(months_between(FIRST, CLOSED))
        operation.store.recalibrate(month=months_between(FIRST, Month(2017, 12)))
    return {
        "FEATURESTORE_ROOT": setting.root,
        "FEATURESTORE_DEFINITIONS": setting.definitions,
        "FEATURESTORE_FIRST_MONTH": str(FIRST),
        "FEATURESTORE_LAST_MONTH": str(OPEN),
    }


def send_back(landed: list[Path], *, share: float = 0.5, days: int = 12) -> None:
    """Let a share of the orders since the change that were not returned come back, some days later in the same month."""
    months = {path: pq.read_table(path) for path in landed}
    returned = pa.concat_tables(rows.filter(pc.field("event_type") == "return") for rows in months.values())["order_id"]
    random = np.random.default_rng(7)
    for path, rows in months.items():
        if path.stem < str(CHANGED):
            continue
        kept = rows.filter((pc.field("event_type") == "buy") & ~pc.field("order_id").isin(returned.unique()))
        kept = kept.filter(pa.array(random.random(kept.num_rows) < share))
        end_us = Month.parse(path.stem).interval(TIMEZONE).end_us
        back_us = np.minimum(kept["event_time"].cast(pa.int64()).to_numpy() + days * DAY_US, end_us - 1)
        at = pa.array(back_us)
        changed = {
            "event_id": pc.add(kept["event_id"], NEW_IDS),
            "event_type": pa.repeat("return", kept.num_rows),
            "event_time": at,
            "ingested_at": at,
        }
        for name, values in changed.items():
            place = rows.schema.get_field_index(name)
            kept = kept.set_column(place, rows.schema.field(place), values.cast(rows.schema.field(place).type))
        pq.write_table(pa.concat_tables([rows, kept]), path)

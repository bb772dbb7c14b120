"""Temporian: moving_sum over daily sums, sampled at the spine's rows.

Its window is ``(t - length, t]`` in days, so the day before floor_day is asked.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import temporian as tp
from peer import serve


def answer(question, spine):
    """One moving_sum per window; lifetime is a window as long as the history."""
    key = question["key"]
    measures = list(question["measures"])
    sums = pa.concat_tables([pq.read_table(file) for file in question["files"]])
    days = sums["day"].to_numpy().astype(np.float64)
    events = tp.event_set(
        timestamps=days,
        features={key: sums["key"].to_numpy(), **{name: sums[name].to_numpy() for name in measures}},
        indexes=[key],
    )
    edge = spine["floor_day"].to_numpy().astype(np.float64) - 1
    rows = tp.event_set(timestamps=edge, features={key: spine[key].to_numpy(), "row": spine["row"].to_numpy()}, indexes=[key])
    longest = float(max(days.max(), edge.max()) - days.min() + 1)
    moved = [
        events.moving_sum(float(length or longest), sampling=rows).rename({name: f"{name}_{window}" for name in measures})
        for window, length in question["windows"].items()
    ]
    answered = tp.glue(rows, *moved)
    parts = list(answered.data.values())
    names = [name for name, _ in answered.schema.feature_name_to_dtype().items()]
    return pa.table({name: np.concatenate([part.features[i] for part in parts]) for i, name in enumerate(names)})


serve(answer)

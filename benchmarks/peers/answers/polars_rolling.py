"""Polars: daily sums and spine rows in one frame, rolling sums by key over each window."""

import polars as pl
from peer import serve


def answer(question, spine):
    """A row of the spine is a day that adds nothing; a window is closed on its left alone."""
    measures = list(question["measures"])
    sums = pl.read_parquet(question["files"]).with_columns(row=pl.lit(None, pl.Int64))
    probes = pl.DataFrame(
        {
            "key": spine[question["key"]].to_numpy(),
            "day": spine["floor_day"].to_numpy(),
            **{measure: pl.zeros(spine.num_rows, pl.Int64, eager=True) for measure in measures},
            "row": spine["row"].to_numpy(),
        }
    )
    keys = probes["key"].unique()
    frame = pl.concat([sums.filter(pl.col("key").is_in(keys.implode())).select(probes.columns), probes]).sort("key", "day")
    longest = int(frame["day"].max() - frame["day"].min()) + 1
    rolled = frame.select(
        "row",
        *(
            pl.col(measure)
            .rolling_sum_by("day", window_size=f"{days or longest}i", closed="left")
            .over("key")
            .fill_null(0)
            .alias(f"{measure}_{window}")
            for measure in measures
            for window, days in question["windows"].items()
        ),
    )
    return rolled.filter(pl.col("row").is_not_null()).to_arrow()


serve(answer)

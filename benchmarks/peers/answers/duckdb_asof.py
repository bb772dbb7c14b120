"""DuckDB: one ASOF JOIN of all edges of all windows with the running totals, then differences."""

import duckdb
import numpy as np
import pyarrow as pa
from peer import bounds, differences, serve


def answer(question, spine):
    """Ask for the totals before each edge; the edges of a row lie beside each other in the answer."""
    edges = bounds(question)
    probes = pa.table(
        {
            "place": np.arange(spine.num_rows * len(edges)),
            "key": np.repeat(spine[question["key"]].to_numpy(), len(edges)),
            "day": (spine["floor_day"].to_numpy()[:, None] - np.array(edges)[None, :]).ravel(),
        }
    )
    columns = ", ".join(f"coalesce(totals.{measure}, 0) AS {measure}" for measure in question["measures"])
    with duckdb.connect() as session:
        session.register("probes", probes)
        joined = session.sql(f"""
            SELECT place, {columns}
            FROM probes ASOF LEFT JOIN read_parquet({question["files"]}) AS totals
            ON totals.key = probes.key AND totals.day < probes.day""").to_arrow_table()
    order = np.argsort(joined["place"].to_numpy())
    totals = {name: joined[name].to_numpy()[order].reshape(-1, len(edges)) for name in question["measures"]}
    return pa.table({"row": spine["row"], **differences(question, totals)})


serve(answer)

"""DuckDB: join each spine row with all events of its key before its day, and sum those inside each window."""

import duckdb
from peer import serve

DAY_US = 86_400_000_000


def answer(question, spine):
    """One query over the event files."""
    key = question["key"]
    offset = question["offset_us"]
    files = question["files"]
    lengths = question["windows"].values()
    longest = "" if None in lengths else f"AND day >= floor_day - {max(lengths)}"
    columns = ", ".join(
        f"coalesce(sum({measure}){_inside(days)}, 0)::BIGINT AS {measure}_{window}"
        for measure in question["measures"]
        for window, days in question["windows"].items()
    )
    measures = ", ".join(f"{sql} AS {measure}" for measure, sql in question["measures"].items())
    with duckdb.connect() as session:
        session.register("spine", spine)
        return session.sql(f"""
            WITH facts AS (
                SELECT {key}, (epoch_us(event_time) + {offset}) // {DAY_US} AS day, {measures} FROM read_parquet({files}))
            SELECT spine.row, {columns}
            FROM spine LEFT JOIN facts ON facts.{key} = spine.{key} AND day < floor_day {longest}
            GROUP BY spine.row""").to_arrow_table()


def _inside(days):
    return "" if days is None else f" FILTER (WHERE day >= floor_day - {days})"


serve(answer)

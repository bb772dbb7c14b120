SELECT "user_id" AS key_0,
       "tile step" AS step,
       CAST(coalesce(count_if(TRUE), 0) AS BIGINT) AS "count_d9af8d52b10d",
       CAST(coalesce(count_if(("event_type" = 'buy')), 0) AS BIGINT) AS "count_31338e626f8d",
       CAST(coalesce(sum("amount_cents"), 0) AS BIGINT) AS "sum_amount_cents_d186fc5d9dcb"
FROM (
  SELECT *, "local us" // 86400000000 - 134774 AS "tile step"
  FROM (
    SELECT *, epoch_us("event_time") AS "time us", "time us" + 11644502400000000 AS "local us"
    FROM read_parquet(['events.parquet'])
    WHERE "event_time" >= make_timestamptz(1709222400000000) AND "event_time" < make_timestamptz(1714492800000000)
  )
  WHERE "user_id" IS NOT NULL
)
GROUP BY "user_id", "tile step"

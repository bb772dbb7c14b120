SELECT "amount_cents" AS key_0,
       "category" AS key_1,
       "tile step" AS step,
       list_sort(list("bucket 03c917a1f198") FILTER (WHERE "bucket 03c917a1f198" IS NOT NULL)) AS "day_of_week_03c917a1f198"
FROM (
  SELECT *, "local us" // 86400000000 - 134774 AS "tile step",
       CASE WHEN TRUE THEN "local us" // 86400000000 % 7 END AS "bucket 03c917a1f198"
  FROM (
    SELECT *, epoch_us("ordered_at") AS "time us", "time us" + 11644502400000000 AS "local us"
    FROM read_parquet(['events.parquet'])
    WHERE "ordered_at" >= make_timestamptz(1709222400000000) AND "ordered_at" < make_timestamptz(1714492800000000)
  )
  WHERE "amount_cents" IS NOT NULL AND "category" IS NOT NULL
)
GROUP BY "amount_cents", "category", "tile step"

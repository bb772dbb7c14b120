SELECT "user_id" AS key_0,
       "category" AS key_1,
       "tile step" AS step,
       max_by("category", row("time us", "event_id")) AS "last_category_9a4b756763a5",
       max(CASE WHEN "category" IS NOT NULL THEN "time us" END) AS "last_us_ed4db545cea4",
       max("time us") AS "last_us_4d73e2d9c81a"
FROM (
  SELECT *, "time us" AS "tile step"
  FROM (
    SELECT *, epoch_us("event_time") AS "time us", "time us" + 11644493400000000 AS "local us"
    FROM read_parquet(['events.parquet'])
    WHERE "event_time" >= make_timestamptz(1709231400000000) AND "event_time" < make_timestamptz(1714501800000000)
  )
  WHERE "user_id" IS NOT NULL AND "category" IS NOT NULL
)
GROUP BY "user_id", "category", "tile step"

SELECT "user_id" AS key_0,
       "tile step" AS step,
       CAST(coalesce(sum(CAST(round("weight" * 1099511627776.0) AS HUGEINT) // 4294967296) FILTER (WHERE "weight" IS NOT NULL), 0) AS BIGINT) AS "high_weight_a2ad527dbaed",
       CAST(coalesce(sum(CAST(round("weight" * 1099511627776.0) AS HUGEINT) % 4294967296) FILTER (WHERE "weight" IS NOT NULL), 0) AS BIGINT) AS "low_weight_24afe96a7d31",
       CAST(coalesce(count_if("weight" IS NOT NULL), 0) AS BIGINT) AS "count_3ceb150a3729",
       CAST(coalesce(sum(CAST(round("weight" * 1.0) AS HUGEINT) // 4294967296) FILTER (WHERE "weight" IS NOT NULL), 0) AS BIGINT) AS "high_weight_4a980c9607f6",
       CAST(coalesce(sum(CAST(round("weight" * 1.0) AS HUGEINT) % 4294967296) FILTER (WHERE "weight" IS NOT NULL), 0) AS BIGINT) AS "low_weight_d470c5d0995c"
FROM (
  SELECT *, ("time us" + 11644473600000000) // 3600000000 - 3234576 AS "tile step"
  FROM (
    SELECT *, epoch_us("event_time") AS "time us", "time us" + 11644473600000000 AS "local us"
    FROM read_parquet(['events.parquet'])
    WHERE "event_time" >= make_timestamptz(1709251200000000) AND "event_time" < make_timestamptz(1714521600000000)
  )
  WHERE "user_id" IS NOT NULL
)
GROUP BY "user_id", "tile step"

SELECT "user_id" AS key_0,
       "tile step" AS step,
       CAST(coalesce(sum("counted 2d51d40f0159"), 0) AS BIGINT) AS "sum_amount_cents_0bc1b8b909df",
       max(CASE WHEN ("amount_cents" > 0.5e0) THEN "time us" END) AS "last_us_d6035ffdf920"
FROM (
  SELECT *, "local us" // 86400000000 - 134774 AS "tile step",
       CASE WHEN ("event_type" IN ('buy', 'it''s')) AND "amount_cents" IS NOT NULL THEN "amount_cents" END AS "counted 2d51d40f0159"
  FROM (
    SELECT *, epoch_us("event_time") AS "time us", "time us" + CASE WHEN "time us" >= 1711846800000000 THEN 11644480800000000 ELSE 11644477200000000 END AS "local us"
    FROM read_parquet(['events.parquet'])
    WHERE "event_time" >= make_timestamptz(1709247600000000) AND "event_time" < make_timestamptz(1714514400000000)
  )
  WHERE "user_id" IS NOT NULL AND (("event_type" IN ('buy', 'it''s')) OR ("amount_cents" > 0.5e0))
)
GROUP BY "user_id", "tile step"

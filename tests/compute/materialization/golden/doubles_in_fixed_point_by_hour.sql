SELECT "user_id" AS key_0,
       "tile step" AS step,
       CAST(coalesce(sum("low 55baeca5bc35"), 0) AS BIGINT) AS "sum0_weight_10c4b4ae1c24",
       CAST(coalesce(sum("high 55baeca5bc35"), 0) AS BIGINT) AS "sum1_weight_90bbafb044a3",
       CAST(coalesce(count_if("weight" IS NOT NULL), 0) AS BIGINT) AS "count_3ceb150a3729",
       CAST(coalesce(sum("low 90376f71bb5f"), 0) AS BIGINT) AS "sum0_weight_ebaf9329e519",
       CAST(coalesce(sum("high 90376f71bb5f"), 0) AS BIGINT) AS "sum1_weight_fc6e134d7530"
FROM (
  SELECT *, CAST("whole 55baeca5bc35" - "high 55baeca5bc35" * 4294967296.0 AS BIGINT) AS "low 55baeca5bc35", CAST("whole 90376f71bb5f" - "high 90376f71bb5f" * 4294967296.0 AS BIGINT) AS "low 90376f71bb5f"
  FROM (
  SELECT *, CAST(trunc("whole 55baeca5bc35" / 4294967296.0) AS BIGINT) AS "high 55baeca5bc35", CAST(trunc("whole 90376f71bb5f" / 4294967296.0) AS BIGINT) AS "high 90376f71bb5f"
  FROM (
  SELECT *, ("time us" + 11644473600000000) // 3600000000 - 3234576 AS "tile step",
       CASE WHEN "weight" IS NOT NULL THEN round("weight" * 1099511627776.0) END AS "whole 55baeca5bc35",
       CASE WHEN "weight" IS NOT NULL THEN round("weight" * 1.0) END AS "whole 90376f71bb5f"
  FROM (
    SELECT *, epoch_us("event_time") AS "time us", "time us" + 11644473600000000 AS "local us"
    FROM read_parquet(['events.parquet'])
    WHERE "event_time" >= make_timestamptz(1709251200000000) AND "event_time" < make_timestamptz(1714521600000000)
  )
  WHERE "user_id" IS NOT NULL
  )
  )
)
GROUP BY "user_id", "tile step"

SELECT "user_id" AS key_0,
       "tile step" AS step,
       CAST(coalesce(sum("digit 0 5bc024966690"), 0) AS BIGINT) AS "sum0_weight_42a6bc681ea1",
       CAST(coalesce(sum("digit 1 5bc024966690"), 0) AS BIGINT) AS "sum1_weight_30d23400aac3",
       CAST(coalesce(sum("digit 2 5bc024966690"), 0) AS BIGINT) AS "sum2_weight_17ff9ac96176",
       CAST(coalesce(sum("digit 3 5bc024966690"), 0) AS BIGINT) AS "sum3_weight_66cca388e43b",
       CAST(coalesce(count_if("weight" IS NOT NULL), 0) AS BIGINT) AS "count_3ceb150a3729",
       CAST(coalesce(sum("low 90376f71bb5f"), 0) AS BIGINT) AS "sum0_weight_ebaf9329e519",
       CAST(coalesce(sum("high 90376f71bb5f"), 0) AS BIGINT) AS "sum1_weight_fc6e134d7530"
FROM (
  SELECT *, CAST(trunc("whole 5bc024966690" / 7.922816251426434e+28) AS BIGINT) AS "digit 3 5bc024966690"
  FROM (
  SELECT *, CAST(trunc("whole 5bc024966690" / 1.8446744073709552e+19) - trunc("whole 5bc024966690" / 7.922816251426434e+28) * 4294967296.0 AS BIGINT) AS "digit 2 5bc024966690"
  FROM (
  SELECT *, CAST(trunc("whole 5bc024966690" / 4294967296.0) - trunc("whole 5bc024966690" / 1.8446744073709552e+19) * 4294967296.0 AS BIGINT) AS "digit 1 5bc024966690", CAST("whole 90376f71bb5f" - "high 90376f71bb5f" * 4294967296.0 AS BIGINT) AS "low 90376f71bb5f"
  FROM (
  SELECT *, CAST("whole 5bc024966690" - trunc("whole 5bc024966690" / 4294967296.0) * 4294967296.0 AS BIGINT) AS "digit 0 5bc024966690", CAST(trunc("whole 90376f71bb5f" / 4294967296.0) AS BIGINT) AS "high 90376f71bb5f"
  FROM (
  SELECT *, ("time us" + 11644473600000000) // 3600000000 - 3234576 AS "tile step",
       CASE WHEN "weight" IS NOT NULL THEN round("weight" * 1.8446744073709552e+19) END AS "whole 5bc024966690",
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
  )
)
GROUP BY "user_id", "tile step"

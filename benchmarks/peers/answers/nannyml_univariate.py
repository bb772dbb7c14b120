"""NannyML: UnivariateDriftCalculator with its defaults, chunks of a month."""

import json
import os
import sys
import time
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # read when nannyml is imported

import nannyml
import pandas as pd
from peer import peak_bytes


def main():
    """Read the question named on the command line and write ``answer.json``: features to the months that alert."""
    question = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(question["folder"])
    first = question["first_scored"]
    features = question["features"]
    months = [pd.read_parquet(file) for file in sorted(folder.glob("month-*.parquet"))]
    cpu = time.process_time()
    calculator = nannyml.UnivariateDriftCalculator(column_names=features, timestamp_column_name="month", chunk_period="M")
    calculator.fit(pd.concat(months[:first], ignore_index=True))
    results = calculator.calculate(pd.concat(months[first:], ignore_index=True)).filter(period="analysis").to_df()
    cpu = time.process_time() - cpu
    alarms = {}
    for feature in features:
        (alerts,) = (results[column] for column in results.columns if column[0] == feature and column[-1] == "alert")
        alarms[feature] = [first + i for i, is_alert in enumerate(alerts) if is_alert]
    answer = {"alarms": alarms, "cpu_s": cpu, "peak_bytes": peak_bytes()}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


main()

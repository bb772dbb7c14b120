"""Measure the generated shop: events per CPU-second drawn, and written; bytes per event.

Run: ``python benchmarks/synth_speed.py [EVENTS] [MONTHS]``. Months are taken from the middle of the decade.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from featurestore.synth import Shop


def main(*, events: int, months: int) -> None:
    """Draw and write some months in sequence and one alone, and print what they cost."""
    shop = Shop(events=events)
    started = time.process_time()
    shop.month("2016-01")
    print(f"first month, users and SKUs included: {time.process_time() - started:.2f} CPU-s")
    wanted = shop.months[60 : 60 + months]
    rows = 0
    started = time.process_time()
    for month in wanted:
        rows += shop.month(month).num_rows
    drawn_s = time.process_time() - started
    print(f"drawn in sequence: {rows:,} events, {rows / drawn_s / 1e6:.2f} M events per CPU-second")
    started = time.process_time()
    alone = shop.month("2019-06").num_rows
    print(f"a month alone: {alone / (time.process_time() - started) / 1e6:.2f} M events per CPU-second")
    with TemporaryDirectory() as folder:
        started = time.process_time()
        size = sum(path.stat().st_size for path in shop.write_landing(Path(folder), months=wanted))
        written_s = time.process_time() - started
    print(f"drawn and written: {rows / written_s / 1e6:.2f} M events per CPU-second, {size / rows:.1f} bytes per event")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:3]]
    main(events=given[0] if given else 10_000_000, months=given[1] if len(given) > 1 else 12)

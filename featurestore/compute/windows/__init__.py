"""One view's windows: edges become totals, totals become values, values become derived features."""

"""The monitor: from monthly sketches to one row per month, feature and segment."""

"""Monitors of drift on ten years of features whose changes are known: ours, and what else one could use.

worlds.py     how features move when nothing has changed, and what is planted
features.py   a feature's course: level, spread, missing values, shares, and its changes
rows.py       the monthly rows of features
ours.py       our monitor, latched and recalibrated
tests.py      KS and chi-square tests with Benjamini-Hochberg
evidently.py  Evidently's defaults
nannyml.py    NannyML's univariate drift, in an environment of its own
alarms.py     what a monitor says of a feature, month by month
tally.py      alarms against the truth: false episodes, finds and delays
score.py      one monitor in one world, in a process of its own
growing.py    a shop that grows while its customers stay as they are
bar.py        what ours must reach
references.py what monitors without a memory compare a month with
table.py      the tables; picture.py: false episodes and finds on hard data; record.py: the JSON
speed.py      seconds and memory of many features
"""

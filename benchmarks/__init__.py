"""What it costs: the targets of the engine, measured as ratios in one run, beside what else one could use.

run.py       the command: which size, which sections; writes results/SIZE.json, the table and the picture
sections/    one module per question: makes what it needs, measures, returns rows
peers/       other tools answering the same questions, each in its own virtual environment
stores.py    stores and made-up events, kept below data/bench between runs
cost.py      seconds and memory; isolated.py: a function in a process of its own

``drift.py`` and monitors/ do the same for the drift monitor and others; ``synth_speed.py`` stands alone.
"""

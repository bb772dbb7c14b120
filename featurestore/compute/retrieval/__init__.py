"""Whole questions: spines, training sets, batches, publications, and whether a view is complete enough to answer."""

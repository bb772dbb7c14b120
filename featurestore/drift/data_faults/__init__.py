"""The world is as it was, but the record of it is wrong: faults in the daily counts of a source."""

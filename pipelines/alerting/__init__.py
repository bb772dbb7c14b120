"""Alerting: what people must be told leaves the store through apprise, once for each thing to know.

A message is written into the store's outbox before anything is sent, under a name that is the same whenever the same thing is
found again; so a crash loses none, and what has been sent is known by its name. The only moment in which a crash can make a
message arrive twice is between a receiver's answer and the note of it.
"""

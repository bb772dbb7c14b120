"""Proof that what is committed is what the events give."""

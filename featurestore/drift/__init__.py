"""Whether features still mean what they meant: sketches, scores, states, reports and recalibration."""

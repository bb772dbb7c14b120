"""The change-point model: statistics whose noise is known, and the test of each month for a step or a ramp."""

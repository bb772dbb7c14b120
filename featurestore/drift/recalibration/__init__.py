"""From a drift to a new champion: when to fit, on what, and the gate that a challenger must pass."""

"""What drift looks at: panels of entities at the end of a month, their inflows, forecasts and what came of them."""

"""The energy-based family: a scalar of each example, low where data lies."""

"""Linear inverse problems: what was measured of an example, and samples of what it may have been."""

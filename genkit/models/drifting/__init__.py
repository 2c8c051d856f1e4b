"""Drifting models: a generator in one evaluation whose samples are moved towards the data while it trains."""

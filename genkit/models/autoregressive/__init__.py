"""Autoregressive models: a probability of each value given the ones before it."""

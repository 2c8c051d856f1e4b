"""Loggers: tools that a run's metrics, configuration and pictures are handed to, one tool per file.

`metrics.jsonl` in the run folder stays the truth. A `Delivery` reads it and hands the rest, whatever a logger does not
have yet, over: while the run trains, again and again; for `genkit log`, once.
"""

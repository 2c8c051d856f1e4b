"""The rows of `scripts/bench.py`, one subject per file."""

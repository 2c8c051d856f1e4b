"""Prefixes that tell the copies of a model apart in a state: in memory, and in training.safetensors."""

LIVE = "model."  # the model that learns
AVERAGED = "averaged."  # its averaged copy
RAW = "raw."  # the learning model on disk, beside the averaged one

"""`data.batch_size=auto`: a value that stands for the batch size which `genkit train` and `genkit check` find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.config.dotted_keys import lookup

BATCH_SIZE, AUTO = "data.batch_size", "auto"
VERBS = ("train", "check")


def with_a_number(verb: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration to check before the batch size is found: some number stands in its place."""
    if verb not in VERBS or lookup(config, BATCH_SIZE) != AUTO:
        return config
    return {**config, "data": {**config["data"], "batch_size": 1}}

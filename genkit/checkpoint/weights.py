"""The tensors of a checkpoint that are a model's weights.

model.safetensors holds the weights for use: the averaged copy, where one is kept. The model that learns then lies in
training.safetensors, its names after the prefix `RAW`, beside the optimizer's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from genkit.checkpoint.manifest import MODEL, TRAINING_TENSORS
from genkit.checkpoint.read import Checkpoint
from genkit.errors import ConfigError

RAW = "raw."

T = TypeVar("T")


def weights_file(checkpoint: Checkpoint, weights: str) -> tuple[str, str]:
    """The file that holds the "ema" or "raw" weights, and the prefix of their names in it; one where no average is.

    Raises:
        ConfigError: there are no weights of that name.
    """
    if weights not in ("ema", "raw"):
        raise ConfigError(f"weights={weights}: choose ema or raw")
    averaged = TRAINING_TENSORS in checkpoint.manifest.files and any(
        name.startswith(RAW) for name in checkpoint.layout(TRAINING_TENSORS)
    )
    return (TRAINING_TENSORS, RAW) if weights == "raw" and averaged else (MODEL, "")


def without_prefix(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Select the entries whose names have this prefix, and take it off."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

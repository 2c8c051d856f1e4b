"""genkit: train, sample and score any family of generative model, on the same data, with the same evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from genkit.models.base import GenerativeModel

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str | Path, weights: str = "ema", plugins: tuple[str, ...] = ()) -> GenerativeModel:
    """Load the trained model of a run folder or checkpoint folder, in eval mode on the CPU.

    What learns in it asks for a gradient; use it under `torch.no_grad()` where none is wanted (`sample` is without).
    The random generators of torch, numpy and Python are left as they were.

    Args:
        path: A run folder (its `latest` checkpoint is taken), RUN/best, a checkpoint folder, or an export.
        weights: "ema" (the averaged copy, where there is one) or "raw".
        plugins: Packages outside genkit that the checkpoint's model may come from. A checkpoint cannot name its own.

    Raises:
        CheckpointError: no checkpoint there, or a file of it is missing, changed or foreign.
    """
    from genkit.config.restore import load_model  # heavy: imported when asked for

    return load_model(path, weights=weights, plugins=plugins)

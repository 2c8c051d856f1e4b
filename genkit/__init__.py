"""genkit: train, sample and score any family of generative model, on the same data, with the same evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from genkit.api import (
        augment,
        complete,
        compress,
        decompress,
        detect,
        evaluate,
        explore,
        restore,
        sample,
        train,
        translate,
    )
    from genkit.data.spec import DataSpec
    from genkit.models.base import GenerativeModel

__version__ = "0.1.0"
__all__ = [
    "__version__", "augment", "complete", "compress", "decompress", "detect", "evaluate", "explore", "load", "picture",
    "restore", "sample", "train", "translate",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """The verbs of `genkit.api`, which imports torch: only once one is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from genkit import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


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
    from genkit.assembly.restore import load_model  # heavy: imported when asked for

    return load_model(path, weights=weights, plugins=plugins)


def picture(x: Tensor, of: GenerativeModel | DataSpec, title: str = "") -> Image:
    """Draw x (n, *shape) in model units: a grid of images, a scatter plot of vectors, or rows of tokens.

    Args:
        x: What a model's `sample` or `reconstruct` returns, one example or more.
        of: The model, or the spec of the data.
        title: Above it.

    Returns:
        An image of Pillow's, which a notebook shows and `save("grid.png")` writes.

    Raises:
        DataError: x is no such data.
    """
    from genkit.data.spec import DataSpec
    from genkit.report.picture import picture_of

    return picture_of(x, of if isinstance(of, DataSpec) else of.spec, title)

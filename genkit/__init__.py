"""genkit: train, sample and score any family of generative model, on the same data, with the same evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from PIL.Image import Image
    from torch import Tensor

    from genkit.api import Run, Samples, Scores
    from genkit.data.spec import DataSpec
    from genkit.models.base import GenerativeModel

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "load", "picture", "sample", "train"]


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


def train(*words: str | Mapping[str, Any], config_dir: str | Path | None = None, **keys: Any) -> Run:
    """Train as `genkit train` does: `train("model=vae", "data=digits", run_dir="runs/vae")`.

    Args:
        words: Words of the command line, or mappings: `{"model": "vae", "trainer": {"max_steps": 9}}`.
        config_dir: A folder of configuration beside genkit's own.
        keys: More keys and values.

    Returns:
        The run: its folder, its step, the lines of its metrics, `model()`.

    Raises:
        GenkitError: what the command would say in one line.
    """
    from genkit import api as calls

    return calls.train(*words, config_dir=config_dir, **keys)


def sample(*words: str | Mapping[str, Any], config_dir: str | Path | None = None, **keys: Any) -> Samples:
    """Sample a checkpoint as `genkit sample` does: `sample(ckpt="runs/vae", n=64)`; arguments and errors as `train`.

    Returns:
        Stored values, labels, the picture and the folder that holds them.
    """
    from genkit import api as calls

    return calls.sample(*words, config_dir=config_dir, **keys)


def evaluate(*words: str | Mapping[str, Any], config_dir: str | Path | None = None, **keys: Any) -> Scores:
    """Score as `genkit eval` does: `evaluate(ckpt="runs/vae", metric="fid")`; arguments and errors as `train`.

    Returns:
        The records of the scores and the folder that holds them; printed, it is the command's table.
    """
    from genkit import api as calls

    return calls.evaluate(*words, config_dir=config_dir, **keys)


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

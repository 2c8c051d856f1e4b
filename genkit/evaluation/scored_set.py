"""Examples that anomaly scores ask a model about, and what is known of normal data."""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import NumericalError
from genkit.models.base import Density, GenerativeModel

LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**16}]
BATCH = 500

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoredSet:
    """Examples that a model is asked about, batch by batch, each question once.

    Attributes:
        model: In eval mode.
        v: (n, *shape) stored values, on the CPU.
        y: (n,) labels that a conditional model is given, else None.
        seed: Of what is drawn.
        batch_size: Examples at once.
    """

    model: GenerativeModel
    v: Tensor
    y: Tensor | None
    seed: int = 0
    batch_size: int = BATCH

    @cached_property
    def nll(self) -> Floats:
        """−log P(x) in nats; of real numbers −log p(x)."""
        assert isinstance(self.model, Density)
        ask, seed, volume = self.model.nll, self.seed, self.model.spec.dim * self.model.spec.kind.log_volume
        return self.each(lambda first, v, x, y: ask(v, y, seed=seed, first=first).double()) - volume

    @cached_property
    def complexity(self) -> Floats:
        """Bits of each example by a compressor that knows no data."""
        return complexity_bits(self.v, self.model.spec)

    @torch.no_grad()
    def each(self, ask: Callable[[int, Tensor, Tensor, Tensor | None], Tensor]) -> Floats:
        """The answers (n,) to ask(number of the first example, stored values, model values, labels) of batches.

        Raises NumericalError where one is not a number.
        """
        device = next(self.model.parameters()).device
        found = []
        for first in range(0, len(self.v), self.batch_size):
            part = slice(first, first + self.batch_size)
            v = self.v[part]
            y = None if self.y is None else self.y[part].to(device)
            found.append(ask(first, v.to(device), self.model.spec.scale(v).to(device), y).detach().double().cpu())
        answers = torch.cat(found).numpy()
        if np.isnan(answers).any():
            raise NumericalError("a score of an example is not a number: the model's weights are not what was trained")
        return answers


@dataclass(frozen=True, eq=False)
class NormalData:
    """Data that is known to be normal.

    Attributes:
        validation: Examples that the model was not trained on and that are not judged; None where there are none.
        train: The training split; None where it is not at hand.
        std: Standard deviation of all model values.
        seed: Of choices.
    """

    validation: ScoredSet | None
    train: Split | None
    std: float
    seed: int = 0


def complexity_bits(v: Tensor, spec: DataSpec) -> Floats:
    """Bits of each of the stored values v (n, *shape): of a PNG for 8-bit images, else of raw LZMA."""
    image = spec.modality == "image" and v.dtype == torch.uint8 and v.shape[1] in (1, 3)
    sizes = [
        _png(one) if image else len(lzma.compress(one.tobytes(), lzma.FORMAT_RAW, filters=LZMA)) for one in v.numpy()
    ]
    return 8.0 * np.array(sizes, dtype=np.float64)


def _png(image: NDArray[np.uint8]) -> int:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, format="PNG")
    return len(file.getvalue())

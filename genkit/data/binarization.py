r"""Images in black and white: how intensities v in 0 … L become pixels in 0, 1, with L = levels − 1.

* threshold: on where v / L ≥ 1/2.
* dynamic: on with probability v / L, redrawn in every epoch of the training (Salakhutdinov & Murray 2008); what is
  not trained on is one fixed draw, so that likelihoods of different models are of the same images.

A pixel is on iff r < v with r uniform on 0 … L − 1, which has probability v / L exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from genkit.data.counter_stream import ViewStream
from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.noise import generator_of

Binarize = Literal["none", "threshold", "dynamic"]


class Binarization(ABC):
    """From stored intensities (uint8, `levels` of them) to the stored values of a dataset.

    Arguments:
        levels: Of the intensities.
    """

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def spec(self, spec: DataSpec) -> DataSpec:
        """The data's spec after binarisation."""
        return replace(spec, kind=Quantised(2, spec.value_range or (-1.0, 1.0)))

    @abstractmethod
    def fixed(self, v: Tensor, name: str) -> Tensor:
        """Intensities v (N, *shape) as the data `name` shows them outside of training."""

    @abstractmethod
    def training(self, v: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        """Augmented intensities v (B, *shape) of the examples `index` (B,) as an epoch of the training sees them."""

    @property
    def random(self) -> bool:
        """Tell whether pixels of the training data are redrawn in each epoch."""
        return False


class Intensities(Binarization):
    """No binarisation."""

    def spec(self, spec: DataSpec) -> DataSpec:
        return spec

    def fixed(self, v: Tensor, name: str) -> Tensor:
        return v

    def training(self, v: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        return v


class Threshold(Binarization):
    """On where v / L ≥ 1/2."""

    def fixed(self, v: Tensor, name: str) -> Tensor:
        return (v > (self.levels - 2) // 2).to(torch.uint8)

    def training(self, v: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        return self.fixed(v, "train")


class Dynamic(Binarization):
    """On with probability v / L."""

    @property
    def random(self) -> bool:
        return True

    def fixed(self, v: Tensor, name: str) -> Tensor:
        generator = generator_of(0, "binarize", name)
        r = torch.randint(self.levels - 1, v.shape, dtype=torch.uint8, generator=generator)
        return (r < v).to(torch.uint8)

    def training(self, v: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        r = stream.bytes_below("binarize", index, self.levels - 1, *v.shape[1:])
        return (r < v).view(torch.uint8)


BINARIZATIONS: dict[Binarize, type[Binarization]] = {"none": Intensities, "threshold": Threshold, "dynamic": Dynamic}

r"""Images in black and white: how intensities v in 0 … L become pixels in 0, 1, with L = levels − 1.

* threshold: on where v / L ≥ 1/2.
* dynamic: on with probability v / L, drawn anew in every epoch of the training (Salakhutdinov & Murray 2008); what is
  not trained on is one fixed draw, so that likelihoods of different models are of the same images.

A pixel is on iff r < v with r uniform on 0 … L − 1, which has probability v / L exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

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
        return replace(spec, levels=2)

    @abstractmethod
    def fixed(self, v: Tensor, name: str) -> Tensor:
        """Intensities v (N, *shape) as the data `name` shows them wherever it is not trained on."""

    def training(self, v: Tensor, index: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Augmented intensities v (B, *shape) of the examples `index` of n as an epoch of the training sees them.

        A pure function of (the stream that `generator` is seeded with, example).
        """
        return self.fixed(v, "train")


class Intensities(Binarization):
    """No binarisation."""

    def spec(self, spec: DataSpec) -> DataSpec:
        return spec

    def fixed(self, v: Tensor, name: str) -> Tensor:
        return v


class Threshold(Binarization):
    """On where v / L ≥ 1/2."""

    def fixed(self, v: Tensor, name: str) -> Tensor:
        return (v > (self.levels - 2) // 2).to(torch.uint8)


class Dynamic(Binarization):
    """On with probability v / L.

    The numbers r of an epoch are drawn for all its examples at once and the latest ones kept, a byte per pixel: a
    generator per example would take longer than the training step of a small model.
    """

    def __init__(self, levels: int) -> None:
        super().__init__(levels)
        self._stream: tuple[int, int] | None = None
        self._latest = torch.empty(0, dtype=torch.uint8)

    def fixed(self, v: Tensor, name: str) -> Tensor:
        return self._on(v, self._numbers(v.shape, generator_of(0, "binarize", name)))

    def training(self, v: Tensor, index: Tensor, n: int, generator: torch.Generator) -> Tensor:
        if (stream := (generator.initial_seed(), n)) != self._stream:
            own = generator_of(stream[0], "binarize")  # `generator` is where other augmentation has left it
            self._latest, self._stream = self._numbers((n, *v.shape[1:]), own), stream
        return self._on(v, self._latest.index_select(0, index))

    def _numbers(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.randint(self.levels - 1, shape, dtype=torch.uint8, generator=generator)

    @staticmethod
    def _on(v: Tensor, r: Tensor) -> Tensor:
        return (r < v).to(torch.uint8)


BINARIZATIONS: dict[Binarize, type[Binarization]] = {"none": Intensities, "threshold": Threshold, "dynamic": Dynamic}

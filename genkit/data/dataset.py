"""The contract of a dataset: a spec, named splits held in memory, and nothing about models.

Data that fits in memory is one tensor of stored values, indexed by batch; scaling happens on the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genkit.component import Component
from genkit.data.spec import DataSpec

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Split:
    """Stored values of one split.

    Attributes:
        x: (N, *shape), channels first; uint8 for discrete data, float32 for continuous data.
        y: (N,) int64 labels, or None.
    """

    x: Tensor
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


class Dataset(Component, ABC):
    """A dataset that a configuration can name.

    Attributes:
        spec: What the data looks like to a model.
        batch_size: Examples in one training micro-batch.
    """

    spec: DataSpec
    batch_size: int

    @abstractmethod
    def split(self, name: SplitName) -> Split:
        """The stored values of "train", "val" or "test"; the same tensors at every call."""

    def augment(self, x: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
        """Training-time augmentation of stored values x (B, *shape); default none.

        A pure function of (seed, epoch, example): `generator` is seeded from (seed, epoch), every call draws the
        parameters of all N examples of the split from it, and `index` (B,) picks those of this batch.
        """
        return x


class KnownDensity(ABC):
    """Ability of a dataset whose exact density is known (toys): the truth that a likelihood is measured against."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (B, *shape) to (B,), float64."""


class KnownModes(ABC):
    """Ability of a dataset that is a mixture of known isotropic Gaussians: what mode coverage is counted against."""

    centres: Tensor  # (K, D)
    std: float

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
from genkit.errors import DataError
from genkit.noise import generator_of

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

    def __getitem__(self, index: Tensor) -> Split:
        return Split(self.x[index], None if self.y is None else self.y[index])


class KnownDensity(ABC):
    """A distribution whose exact density is known (toys): the truth that a likelihood is measured against."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (B, *shape) to (B,), float64."""


@dataclass(frozen=True)
class KnownModes:
    """The modes of a uniform mixture of isotropic Gaussians: what mode coverage is counted against.

    Attributes:
        centres: (K, D) float32.
        std: Standard deviation of every component.
    """

    centres: Tensor
    std: float


class Dataset(Component, ABC):
    """A dataset that a configuration can name.

    Attributes:
        spec: What the data looks like to a model.
        batch_size: Examples in one training micro-batch.
        eval_n: How many samples a score of a model of this data takes unless the user says otherwise.
        density: The exact density of the data, None where it is unknown.
        modes: The modes of the data, None where it is no mixture of Gaussians.
        features: The shipped feature network that was made for this data, by its name ("digits", "mnist", "cifar",
            "stacked_mnist"); None where there is none.
        floor_kind: What `real_pair` compares, in the words that stand beside a score.
    """

    spec: DataSpec
    batch_size: int
    eval_n: int
    density: KnownDensity | None = None
    modes: KnownModes | None = None
    features: str | None = None
    floor_kind: str = "train against test"

    @abstractmethod
    def split(self, name: SplitName) -> Split:
        """The stored values of "train", "val" or "test"; the same tensors at every call."""

    def augment(self, x: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
        """Training-time augmentation of stored values x (B, *shape); default none.

        A pure function of (seed, epoch, example): `generator` is seeded from (seed, epoch), every call draws the
        parameters of all N examples of the split from it, and `index` (B,) picks those of this batch.
        """
        return x

    def real_pair(self, n: int, repeat: int) -> tuple[Split, Split]:
        """Two disjoint sets of real data for the floor of a score: (n in the place of samples, the reference).

        Default: n seeded training examples against the test split. Repeat r of a given n is always the same pair.
        Raises DataError where n is larger than the data allows.
        """
        train, test = self.split("train"), self.split("test")
        if n > len(train):
            raise DataError(f"n={n}: the training split has {len(train):,} examples; choose a smaller n")
        pick = torch.randperm(len(train), generator=generator_of(repeat, "floor", n))[:n]
        return train[pick], test


def check_finite(dataset: Dataset) -> None:
    """Raises DataError where a value that is trained or validated on is not finite: no loss of it would be."""
    names: tuple[SplitName, ...] = ("train", "val")
    for name in names:
        x = dataset.split(name).x
        if not x.is_floating_point():
            continue
        bad = (~torch.isfinite(x)).flatten(1).any(1).nonzero().flatten()
        if len(bad):
            count = "1 example is" if len(bad) == 1 else f"{len(bad):,} examples are"
            raise DataError(
                f"data: {count} not finite in the split {name}, number {int(bad[0])} first: leave such examples out"
            )

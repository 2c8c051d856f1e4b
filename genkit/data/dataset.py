"""The contract of a dataset: a spec, named splits, a view of each training example, and nothing about models.

A split is read by index (see `genkit.data.split`), in memory or from disk; scaling happens on the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genkit.component import Component
from genkit.data.counter_stream import ViewStream
from genkit.data.provenance import Provenance
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError, DataError
from genkit.noise import generator_of

IMAGE_BATCH = 128  # examples per step, for small images
SplitName = Literal["train", "val", "test"]


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
        pairs_known: Whether the images of a held-out pair belong together, so that there is a truth to score by.
        notice: What was decided about the user's files, in one line; "" for nothing.
    """

    spec: DataSpec
    batch_size: int
    eval_n: int
    density: KnownDensity | None = None
    modes: KnownModes | None = None
    features: str | None = None
    floor_kind: str = "train against test"
    pairs_known: bool = True
    notice: str = ""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Refuses, with a ConfigError, a dataset that was written for the version before views."""
        super().__init_subclass__(**kwargs)
        if "augment" in vars(cls) and callable(vars(cls)["augment"]) and cls.view is Dataset.view:
            raise ConfigError(
                f"{cls.__name__}: augment(x, index, generator) is no longer called: rename it to "
                "view(values, index, stream) and draw from the stream by index, as docs/extending.md shows"
            )

    @abstractmethod
    def split(self, name: SplitName) -> Split:
        """The stored values of "train", "val" or "test"; the same object at every call."""

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        """The stored values (B, *shape) that an epoch of the training shows of examples; default these themselves.

        Args:
            values: (B, …) of the examples of `view_source`.
            index: (B,) int64, their numbers there.
            stream: The random numbers of (seed, epoch), drawn for each example by its number and a name. What is drawn
                otherwise would depend on the batch.
        """
        return values

    @property
    def view_source(self) -> Split:
        """The split that `view` reads: the training split, or other values of the same examples in the same order."""
        return self.split("train")

    @property
    def random_views(self) -> bool:
        """Tell whether `view` draws from the stream; by default, whether a dataset overrides `view`."""
        return type(self).view is not Dataset.view

    @property
    def provenance(self) -> Provenance:
        """Names of the examples, what was left out, where they were prepared; by default nothing is known."""
        return Provenance()

    def real_pair(self, n: int, repeat: int) -> tuple[Split, Split]:
        """Two disjoint sets of real data for the floor of a score: (n as samples, the reference).

        Default: n seeded training examples against the test split. Repeat r of a given n is always the same pair.
        Raises DataError where n is larger than the data allows.
        """
        train, test = self.split("train"), self.split("test")
        if n > len(train):
            raise DataError(f"n={n}: the training split has {len(train):,} examples; choose a smaller n")
        pick = torch.randperm(len(train), generator=generator_of(repeat, "floor", n))[:n]
        return train[pick], test


def check_finite(dataset: Dataset) -> None:
    """Raises DataError where a value that is trained or validated on is not finite: no loss of it would be.

    So it does where an integer is none of the kind's: no network has a place for such a token.
    """
    kind = dataset.spec.kind
    names: tuple[SplitName, ...] = ("train", "val")
    for name in names:
        split = dataset.split(name)
        if split.dtype == torch.uint8 and kind.count == 2**8:
            continue  # every byte is a value; a split of shards would be decoded
        if not kind.model_dtype.is_floating_point:
            kind.check_dtype(split.take(torch.arange(1)).x)
        real = split.dtype.is_floating_point or kind.count is None
        chunks = (chunk.x for chunk in split.chunks(split.chunk_size))
        wrong = [(~torch.isfinite(x) if real else kind.invalid(x)).flatten(1).any(1) for x in chunks]
        bad = torch.cat(wrong).nonzero().flatten()
        if len(bad):
            count = "1 example is" if len(bad) == 1 else f"{len(bad):,} examples are"
            reason = "finite" if real else f"of {kind.words}"
            raise DataError(
                f"data: {count} not {reason} in the split {name}, number {int(bad[0])} first: leave such examples out"
            )

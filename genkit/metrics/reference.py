r"""The real data that samples are compared with, and the floor below which no model can honestly get.

Two samples of one distribution do not have distance 0: with n and N examples a Fréchet distance of d-dimensional
features is about (d/n + d(d+1)/(4n)) + the same with N. So a score says little without its **floor**: the same metric
between real data and real data, at the same n, repeated over seeds. What is compared is named:

* a dataset gives its own pairs (`Dataset.real_pair`): train against test, or halves of everything;
* a reference that came as a file is split: n of its N examples against the others, when 2n ≤ N;
* otherwise both sides are drawn with replacement (bootstrap): n and N draws, whose moments then differ by as much as
  those of fresh samples would. It flatters nearest-neighbour metrics, since both sides share examples.
"""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genkit.data.dataset import Dataset, KnownDensity, KnownModes, Split, SplitName
from genkit.data.order import settled
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.noise import generator_of


def content_hash(x: Tensor) -> str:
    """sha256 over the values, the shape and the dtype of a tensor."""
    values = x.detach().cpu().contiguous()
    head = f"{tuple(values.shape)} {values.dtype}\n".encode()
    return hashlib.sha256(head + values.numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class RealPair:
    """Real data in the place of samples, real data in the place of the reference, and how they were chosen."""

    fake: Split
    real: Split
    kind: str


@dataclass(frozen=True)
class Floor:
    """Real against real at the same n: one value per repeat, and what was compared."""

    values: tuple[float, ...]
    kind: str

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float:
        """Standard deviation over the repeats; 0 for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "sd": self.sd, "repeats": len(self.values), "kind": self.kind}


@dataclass(frozen=True)
class Reference:
    """Stored values of held-out real data, and where they are from.

    Attributes:
        spec: The data.
        data: N examples; without a dataset they are put into an order that depends on nothing but them.
        name, split: What the record of a score says: "digits" and "test", or a file's name and "all".
        dataset: Where floors come from; None for a file.
        features: The shipped feature network that was made for this data, by its name; None where that is unknown.
    """

    spec: DataSpec
    data: Split
    name: str
    split: str = "all"
    dataset: Dataset | None = None
    features: str | None = None

    @classmethod
    def of(cls, dataset: Dataset, name: str, split: SplitName = "test") -> Reference:
        """A split of a dataset, by default the test split."""
        return cls(dataset.spec, dataset.split(split), name, split, dataset, dataset.features)

    def __post_init__(self) -> None:
        if self.dataset is None:  # a file may list its examples in any order
            object.__setattr__(self, "data", settled(self.data))

    @property
    def density(self) -> KnownDensity | None:
        return None if self.dataset is None else self.dataset.density

    @property
    def modes(self) -> KnownModes | None:
        return None if self.dataset is None else self.dataset.modes

    @property
    def train(self) -> Split | None:
        """What a model of this data may have copied; None where it is unknown."""
        return None if self.dataset is None else self.dataset.split("train")

    @cached_property
    def hash(self) -> str:
        return content_hash(self.data.x)

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "split": self.split, "n": len(self.data), "hash": self.hash}

    def real_pair(self, n: int, repeat: int) -> RealPair:
        """The real-versus-real pair number `repeat` for scores of n samples; see the module's text."""
        if self.dataset is not None:
            try:
                fake, real = self._pair_of(self.dataset, n, repeat)
            except DataError:  # the data is too small for n; the bootstrap below says so in its kind
                return self._bootstrap(n, repeat)
            return RealPair(
                fake, real, self.dataset.floor_kind if self.split == "test" else f"train against {self.split}"
            )
        return self._parts(n, repeat) if 2 * n <= len(self.data) else self._bootstrap(n, repeat)

    def _pair_of(self, dataset: Dataset, n: int, repeat: int) -> tuple[Split, Split]:
        """The dataset's own pairs are made for its test split; another split is compared with training examples."""
        if self.split == "test":
            return dataset.real_pair(n, repeat)
        train = dataset.split("train")
        if n > len(train):
            raise DataError(f"n={n}: the training split has {len(train)} examples; choose a smaller n")
        pick = torch.randperm(len(train), generator=generator_of(repeat, "floor", n))[:n]
        return train[pick], self.data

    def _parts(self, n: int, repeat: int) -> RealPair:
        order = torch.randperm(len(self.data), generator=generator_of(repeat, "floor", n))
        return RealPair(self.data[order[:n]], self.data[order[n:]], "halves of the reference")

    def _bootstrap(self, n: int, repeat: int) -> RealPair:
        size, generator = len(self.data), generator_of(repeat, "bootstrap floor", n)
        fake, real = (torch.randint(size, (draws,), generator=generator) for draws in (n, size))
        return RealPair(self.data[fake], self.data[real], "bootstrap of the reference")

r"""The real data that samples are compared with, and the floor below which no model can honestly get.

Two samples of one distribution do not have distance 0: with n and N examples a Fréchet distance of d-dimensional
features is about (d/n + d(d+1)/(4n)) + the same with N. So a score says little without its **floor**: the same metric
between real data and real data, at the same n and N, disjoint, repeated over seeds. What is compared is named:

* a dataset gives its own pairs (`Dataset.real_pair`): train against test, or halves of everything;
* a reference that came as a file has no N further examples. n of its examples are compared with the other N − n, when
  2n ≤ N, and the samples are scored against the same N − n for the comparison with the floor (`Floor.score`);
* of what is nearest to training data, held-out examples are compared with the training data, or theory says what
  fresh data would have.

Where the data is too small for that there is no floor, and the reason is said.
"""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genkit.data.dataset import Dataset, KnownDensity, KnownModes, SplitName
from genkit.data.order import random_order
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.data.text.kind import Text
from genkit.data.text.token_rows import Windows
from genkit.errors import DataError
from genkit.noise import generator_of

EXPECTED = "what is expected of fresh data"  # where nothing had to be compared


@dataclass(frozen=True)
class RealPair:
    """Real data as samples, real data as the reference, and how they were chosen.

    Attributes:
        rows: Where both are in the reference, int64, for a reference that was split; None for a dataset's own pairs.
    """

    fake: Split
    real: Split
    kind: str
    rows: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Floor:
    """Real against real at the same n: one value per repeat, and what was compared.

    Attributes:
        score: The mean score of the samples against the same real sides, where these are smaller than the reference.
    """

    values: tuple[float, ...]
    kind: str
    score: float | None = None

    @classmethod
    def expected(cls, value: float) -> Floor:
        """A floor that is known and not measured."""
        return cls((value,), EXPECTED)

    @property
    def measured(self) -> bool:
        return self.kind != EXPECTED

    @property
    def words(self) -> str:
        """The comparison, and its repeats."""
        return f"{self.kind} ({len(self.values)} repeats)" if self.measured else self.kind

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float:
        """Standard deviation over the repeats; 0 for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        facts = {"mean": self.mean, "sd": self.sd, "repeats": len(self.values), "kind": self.kind}
        return facts if self.score is None else {**facts, "score": self.score}


@dataclass(frozen=True)
class Reference:
    """Stored values of held-out real data, and where they are from.

    Attributes:
        spec: The data.
        data: N examples; without a dataset they are put into an order that depends on nothing but them.
        name, split: What the record of a score says: "digits" and "test", or a file's name and "all".
        dataset: Where floors come from; None for a file.
        features: The shipped feature network that was made for this data, by its name; None where that is unknown.
        rows: Where the examples stand in the file, (N,) int64; None for a dataset.
    """

    spec: DataSpec
    data: Split
    name: str
    split: str = "all"
    dataset: Dataset | None = None
    features: str | None = None
    rows: Tensor | None = field(default=None, init=False)

    @classmethod
    def of(cls, dataset: Dataset, name: str, split: SplitName = "test") -> Reference:
        """A split of a dataset, by default the test split."""
        return cls(dataset.spec, dataset.split(split), name, split, dataset, dataset.features)

    def __post_init__(self) -> None:
        if self.dataset is None:  # a file may list its examples in any order
            order = random_order(self.data, len(self.data), 0)
            object.__setattr__(self, "data", self.data[order])
            object.__setattr__(self, "rows", order)

    @property
    def density(self) -> KnownDensity | None:
        return None if self.dataset is None else self.dataset.density

    @property
    def modes(self) -> KnownModes | None:
        return None if self.dataset is None else self.dataset.modes

    @property
    def train(self) -> Split | None:
        """Training data that a model of this data may have copied; None where it is unknown."""
        return None if self.dataset is None else self.dataset.split("train")

    @property
    def hash(self) -> str:
        """sha256 of the values."""
        return self.data.values_hash

    @cached_property
    def text_hash(self) -> str | None:
        """sha256 of the documents of text, however they are cut into tokens and examples; None of other data."""
        if not isinstance(self.data, Windows) or not isinstance(self.spec.kind, Text):
            return None
        digest, decode = hashlib.sha256(), self.spec.kind.tokenizer.decode
        for number in range(len(self.data.documents)):
            document = decode(self.data.documents.document(number)[:-1].numpy())
            digest.update(len(document).to_bytes(8, "little") + document)
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        facts = {"name": self.name, "split": self.split, "n": len(self.data), "hash": self.hash}
        return facts if self.text_hash is None else {**facts, "text": self.text_hash}

    def real_pair(self, n: int, repeat: int) -> RealPair:
        """The real-versus-real pair number `repeat` for scores of n samples; see the module's text.

        Raises DataError where the data is too small.
        """
        if self.dataset is None:
            return self._parts(n, repeat)
        fake, real = self._pair_of(self.dataset, n, repeat)
        kind = self.dataset.floor_kind if self.split == "test" else f"train against {self.split}"
        return RealPair(fake, real, kind)

    def fresh_pair(self, n: int, repeat: int) -> RealPair:
        """n held-out examples as samples, and the training data. Raises DataError for too large an n."""
        if self.train is None:
            raise DataError("the training data is unknown")
        return RealPair(self._drawn(self.data, n, repeat, self.split), self.train, f"{self.split} against train")

    def _pair_of(self, dataset: Dataset, n: int, repeat: int) -> tuple[Split, Split]:
        """The dataset's own pairs are made for its test split; another split is compared with training examples."""
        if self.split == "test":
            return dataset.real_pair(n, repeat)
        return self._drawn(dataset.split("train"), n, repeat, "training"), self.data

    @staticmethod
    def _drawn(split: Split, n: int, repeat: int, name: str) -> Split:
        if n > len(split):
            raise DataError(f"n={n}: the {name} split has {len(split):,} examples; choose a smaller n")
        return split[torch.randperm(len(split), generator=generator_of(repeat, "floor", n))[:n]]

    def _parts(self, n: int, repeat: int) -> RealPair:
        total = len(self.data)
        if 2 * n > total:
            raise DataError(f"n={n}: twice as many as the {total} reference examples are needed; choose n={total // 2}")
        order = torch.randperm(total, generator=generator_of(repeat, "floor", n))
        rows = order[:n], order[n:]
        kind = f"{n:,} of the reference against its other {total - n:,}"
        return RealPair(self.data[rows[0]], self.data[rows[1]], kind, rows)

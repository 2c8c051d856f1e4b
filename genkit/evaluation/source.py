"""Sources of samples to score: a model, or files. A source streams fakes and offers what it can.

The fakes are given as stored values: what a file of them would hold, clipped and quantised to the data's levels. So a
model and the file of its samples have the same scores.

A matrix product rounds otherwise when it has other numbers of rows, by 1e-7, which now and then is enough to put a
pixel on another level. So that no score depends on the batch size or the number of processes, a CPU draws samples in
chunks that are always the same, and is asked about so many examples at once that the rounding is the same.
Samples of a file are taken in an order of their own (`genkit.data.order`), independent of the file's.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genkit.data.order import random_order
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError, DataError
from genkit.metrics.base import Requirement
from genkit.models.base import (
    Conditional,
    Density,
    GenerativeModel,
    Guidable,
    LatentBound,
    Reconstructor,
    Stepwise,
    TokenDensity,
)
from genkit.models.density import Question, model_values, padded
from genkit.models.normalised import Normalised
from genkit.models.stream import stream_samples

CHUNK = 64  # samples that a model draws at once on a CPU

Quantity = Callable[..., Tensor]


class Source(ABC):
    """Something that is scored.

    Attributes:
        label: What the rows of a table call it.
        n: How many fakes it gives.
        drawn: Where these are a draw of more: of how many ("of"), with which "seed".
    """

    label: str
    n: int
    drawn: dict[str, int] | None = None

    @abstractmethod
    def check(self, spec: DataSpec) -> None:
        """Raises DataError or ConfigError where it does not give examples of such data."""

    @abstractmethod
    def fakes(
        self, spec: DataSpec, seed: int, batch_size: int, chosen: range, like: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Batches (v, y) of the chosen ones of the n fakes; v (B, *shape) stored values on the CPU.

        What a label can be asked of is drawn in the shares of the labels `like` (N,), those of the reference.
        """

    def row_of(self, i: int) -> int:
        """The number of fake i in its file or its model's seed."""
        return i

    @abstractmethod
    def lacks(self, quantity: Requirement, reference: Split) -> str | None:
        """Reason why it cannot give "log_prob", "importance" or "reconstruction" of the reference; None if it can."""

    def spares(self, quantity: Requirement) -> str | None:
        """Reason why it gives a quantity only where the user names the metric; None where it costs little."""
        return None

    def answers(self, v: Tensor, y: Tensor | None, seed: int, first: int) -> dict[str, Quantity]:
        """The quantities of stored values v (B, *shape) with labels y (B,) or None, the examples `first` and on.

        They are `log_prob` (B,) and its bound `importance` with k draws, seeded, and `reconstruction` (B, *shape),
        model values. Default nothing.
        """
        return {}

    @property
    def scores_tokens(self) -> bool:
        """True where it gives log P of each token by itself."""
        return False

    def token_log_prob(self, tokens: Tensor) -> Tensor:
        """log P (B, T) of each token of sequences (B, T) that have no labels, nats; see `scores_tokens`."""
        raise ConfigError(f"{self.label} gives no log-probability of single tokens")

    @property
    def bound(self) -> str | None:
        """The kind of its log_prob: "exact", "lower" or "estimate"."""
        return None

    @property
    def dequantisation(self) -> str:
        """Position within its bin at which a value's log_prob is taken."""
        return "uniform"

    def likelihood_facts(self) -> dict[str, Any]:
        """The normaliser behind its log_prob, where it has one of its own: value, error, method."""
        return {}

    def facts(self, like: Tensor | None) -> dict[str, Any] | None:
        """The `model` entry of a record of fakes with labels `like`."""
        return None

    @property
    def evaluations(self) -> int | None:
        """The number of network calls for each of the fakes that it gave last; None where that is not known."""
        return None

    @property
    def seconds_per_1000(self) -> float | None:
        """The seconds that 1,000 of the fakes that it gave last took to draw; None where nothing was drawn."""
        return None


@dataclass
class SampleSource(Source):
    """Stored values that somebody made, (n, *shape) channels first.

    Args:
        samples: The values; they are put into an order that depends on nothing but them.
        label: Their name in tables.
        drawn: How they were drawn where they are not all that there was, for the record.
        rows: Where they stand in their file, (n,) int64; None where they are all of it.
        in_order: Whether they are in such an order already.
    """

    samples: Split
    label: str = "samples"
    drawn: dict[str, int] | None = None
    rows: Tensor | None = None
    in_order: bool = False

    def __post_init__(self) -> None:
        self.n = len(self.samples)
        if self.in_order:
            return
        order = random_order(self.samples, len(self.samples), 0)
        self.samples = self.samples[order]
        self.rows = order if self.rows is None else self.rows[order]

    def row_of(self, i: int) -> int:
        return i if self.rows is None else int(self.rows[i])

    def check(self, spec: DataSpec) -> None:
        if (found := self.samples.shape) != spec.shape:
            raise DataError(f"{self.label}: its examples have the shape {found}, those of the reference {spec.shape}")

    def fakes(
        self, spec: DataSpec, seed: int, batch_size: int, chosen: range, like: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        for index in torch.arange(chosen.start, chosen.stop).split(batch_size):
            batch = self.samples.take(index)
            yield batch.x, batch.y

    def lacks(self, quantity: Requirement, reference: Split) -> str | None:
        return f"samples alone give no {quantity.replace('_', ' ')}: it needs a model (ckpt=)"


@dataclass
class ModelSource(Source):
    """A model as it is: eval mode, device and averaged or raw weights are the caller's.

    Args:
        model: Any family.
        n: How many samples to draw.
        label: Its name in tables.
        y: One label for all samples of a conditional model; None takes the label shares of the reference, and the
            labels in turn where it has none.
        origin: More facts for the record, e.g. {"ckpt_sha256": …, "weights": "ema"}.
    """

    model: GenerativeModel
    n: int
    label: str = "model"
    y: int | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    _seconds: float | None = field(default=None, init=False, repr=False)

    def check(self, spec: DataSpec) -> None:
        mine = self.model.spec
        if mine.departure(spec) is not None and mine.words == spec.words:
            raise ConfigError(
                f"{self.label}: its {mine.words} follow the values of the data that it was trained on, which are not "
                "those of this data: score a file of its samples (samples=FILE data=…)"
            )
        if mine.departure(spec) is not None:
            raise ConfigError(
                f"{self.label}: the model makes {mine.words}, the data is {spec.words}: choose the data= that it was "
                "trained on"
            )

    def fakes(
        self, spec: DataSpec, seed: int, batch_size: int, chosen: range, like: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        self._seconds, low = 0.0, chosen.start
        chunk = CHUNK if self._device.type == "cpu" else max(CHUNK, batch_size)
        while low < chosen.stop:
            first = low - low % chunk
            started = time.perf_counter()
            n = min(chunk, self.n - first)
            [(x, y)] = stream_samples(self.model, n, seed=seed, batch_size=n, y=self.y, like=like, start=first)
            self._seconds += time.perf_counter() - started
            own = slice(low - first, min(n, chosen.stop - first))
            labels = None if y is None else y[own]
            yield spec.unscale(x[own], labels), labels
            low = first + own.stop

    def lacks(self, quantity: Requirement, reference: Split) -> str | None:
        abilities = {"log_prob": Density, "importance": LatentBound, "reconstruction": Reconstructor}
        if not isinstance(self.model, abilities[quantity]):
            name = "bound by draws of a latent" if quantity == "importance" else quantity.replace("_", " ")
            return f"{type(self.model).__name__} gives no {name}"
        if self._conditional and reference.labels is None:
            return "the model is conditional and the reference has no labels"
        return None

    def spares(self, quantity: Requirement) -> str | None:
        if quantity == "log_prob" and isinstance(self.model, Density) and self.model.costly:
            return "its likelihood takes hundreds of evaluations per example: name the metric to have it"
        return None

    def answers(self, v: Tensor, y: Tensor | None, seed: int, first: int) -> dict[str, Quantity]:
        model, labels = self.model, y if self._conditional else None
        answers: dict[str, Quantity] = {}
        if isinstance(model, Density):
            answers["log_prob"] = lambda: -self._ask(partial(model.nll, seed=seed, first=first), v, labels)
        if isinstance(model, LatentBound):
            weighted = partial(model.importance_nll, seed=seed, first=first)
            answers["importance"] = lambda k: -self._ask(partial(weighted, k=k), v, labels)
        if isinstance(model, Reconstructor):
            x, restored = model_values(v, model.spec), partial(padded, model.reconstruct)
            answers["reconstruction"] = lambda: self._ask(restored, x, labels)
        return answers

    @property
    def scores_tokens(self) -> bool:
        return isinstance(self.model, TokenDensity) and not self._conditional

    def token_log_prob(self, tokens: Tensor) -> Tensor:
        if not isinstance(self.model, TokenDensity):
            return super().token_log_prob(tokens)
        return self._ask(partial(padded, self.model.token_log_prob), tokens, None)

    @property
    def bound(self) -> str | None:
        return self.model.bound if isinstance(self.model, Density) else None

    @property
    def dequantisation(self) -> str:
        return self.model.dequantisation if isinstance(self.model, Density) else super().dequantisation

    def likelihood_facts(self) -> dict[str, Any]:
        return self.model.normaliser_facts() if isinstance(self.model, Normalised) else {}

    def facts(self, like: Tensor | None) -> dict[str, Any] | None:
        name = type(self.model).__name__.lower()
        labels = {"labels": self._labels(like)} if self._conditional else {}
        return {"family": name, "parameters": self._parameters, "device": str(self._device), **labels, **self.origin}

    def _labels(self, like: Tensor | None) -> str:
        """Description of how the labels of the fakes are chosen."""
        if self.y is not None:
            return f"y={self.y}"
        return "in turn" if like is None else "reference shares"

    @property
    def _parameters(self) -> int:
        """Number of learned parameters, without those of a model that guides it."""
        weak = self.model.weak if isinstance(self.model, Guidable) else None
        others = set() if weak is None else {id(p) for p in weak.parameters()}
        return sum(p.numel() for p in self.model.parameters() if id(p) not in others)

    @property
    def evaluations(self) -> int | None:
        return self.model.evaluations if isinstance(self.model, Stepwise) else None

    @property
    def seconds_per_1000(self) -> float | None:
        return None if self._seconds is None else 1000 * self._seconds / self.n

    @property
    def _device(self) -> torch.device:
        return next(iter(self.model.parameters())).device

    @property
    def _conditional(self) -> bool:
        return isinstance(self.model, Conditional) and self.model.num_classes is not None

    @torch.no_grad()
    def _ask(self, question: Question, x: Tensor, y: Tensor | None) -> Tensor:
        return question(x.to(self._device), None if y is None else y.to(self._device)).cpu()

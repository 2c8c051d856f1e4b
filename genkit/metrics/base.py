"""The contract of a metric, and the lazy view of one evaluation that all metrics share.

Every family is scored by the same evaluator. A metric says what it needs (`requires`) and on which data it makes sense
(`modalities`); the evaluator gives it a `Probe` per batch, in which each quantity is computed at most once, however
many metrics ask for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor
from torchmetrics import Metric

from genkit.component import Component
from genkit.data.spec import DataSpec, Takes
from genkit.errors import ConfigError

Requirement = Literal[
    "real",
    "fake",
    "train",
    "logits",
    "log_prob",
    "importance",
    "reconstruction",
    "truth",
    "modes",
    "grammar",
]


class Probe:
    """One evaluation batch, each quantity lazy and computed once.

    Quantities (all float tensors in model units unless said otherwise):
        real (B, *shape), real_y (B,): held-out data.        fake (B, *shape), fake_y (B,): samples.
        train (B, *shape): what a model may have copied.
        real_features, fake_features, train_features, reconstruction_features (B, F): in the evaluator's feature space,
            float64.        fake_logits (B, K): class scores, where the feature network is a classifier.
        log_prob (B,): the model's log-density of the stored real values, see `genkit/models/density.py`, nats.
        importance (B,), asked with k: the importance-weighted bound on log_prob by k draws of a latent, nats.
        token_log_prob (B, T), asked with a stride: log P of each token of text, from windows of T tokens that begin so
            many tokens after each other, nats, see `genkit/data/text/sliding.py`; 0 of pads.
        reconstruction (B, *shape): of `real`.              truth (B,): the exact log-density of `real`.
        centres (K, D) and std (): the known modes of a toy.
        grammar (B,) bool: whether each of `fake` belongs to a language.
    A batch may hold reals only, fakes only, or both, of different lengths: a metric uses what it finds with `in`.

    Args:
        spec: The data.
        quantities: Name to a function; names that are absent cannot be asked for.
    """

    def __init__(self, spec: DataSpec, quantities: dict[str, Callable[..., Tensor]]) -> None:
        self.spec = spec
        self._make = quantities
        self._made: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._make

    def __getitem__(self, name: str) -> Tensor:
        """The quantity `name`; raises ConfigError where this evaluation does not have it."""
        return self.ask(name)

    def ask(self, name: str, *arguments: int) -> Tensor:
        """A quantity that takes arguments, computed once for each choice of them."""
        if name not in self._make:
            raise ConfigError(f"this evaluation has no {name}; it has {', '.join(sorted(self._make))}")
        if (key := (name, arguments)) not in self._made:
            self._made[key] = self._make[name](*arguments)
        return self._made[key]


class ProbeMetric(Metric, Component, Takes, ABC):
    """A metric of the evaluator.

    Class attributes:
        requires: Quantities of the probe that it cannot do without.
        modalities, kinds: Data on which it is defined (see `Takes`); where it uses features, these say the rest.
        uses_features: Whether it is measured in a feature space (and its name then carries the features' id).
        higher_is_better, units, divergence: How to read it; `divergence` means 0 is perfect and value / floor is shown,
            otherwise value − floor.
        best_at_floor: Whether both a lower and a higher value than real data's are worse; such scores rank nothing.
        has_floor: Whether real against real is measured; False where theory says what it is (`expected`).
        covers: What the mean in its interval is taken over.
        measures_bound: Whether the value is a bound on the likelihood by name (an ELBO), so that bounds may be ranked.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "fake")
    uses_features: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = False  # type: ignore[misc]
    units: ClassVar[str] = ""
    divergence: ClassVar[bool] = True
    best_at_floor: ClassVar[bool] = False
    has_floor: ClassVar[bool] = True
    covers: ClassVar[str] = "the mean score of n samples against this reference"
    measures_bound: ClassVar[bool] = False
    full_state_update: ClassVar[bool] = False  # type: ignore[misc]

    def __init__(self) -> None:
        # genkit's evaluator reduces explicitly; results never depend on the batch a value was computed in
        super().__init__(compute_on_cpu=False, dist_sync_on_step=False, sync_on_compute=False)

    @abstractmethod
    def update(self, probe: Probe) -> None:
        """Take in one batch."""

    @abstractmethod
    def compute(self) -> Tensor:
        """The value, a float64 tensor of shape ()."""

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """A 95 % interval of the mean that `covers` names; None where there is none."""
        return None

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """A 95 % interval of the mean over draws of the samples and of the reference; None where there is none."""
        return None

    def too_few(self, counts: Mapping[str, int], dim: int | None) -> str | None:
        """Say why so few rows give no interval that could be trusted, None where they do.

        Args:
            counts: Rows by what they are: "samples", "reference examples"; without what the metric does not see.
            dim: Feature dimensions, None where it is not measured in features.
        """
        return None

    def bias_corrected(self) -> float | None:
        """The value less its bias from few rows; None where there is none to speak of or no formula for it."""
        return None

    def expected(self) -> float | None:
        """The score of fresh data where theory or the training data says it: the floor where none is measured."""
        return None

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        """A warning about such a value, given the mean of the floor where there is one."""
        return iter(())

    def notes(self) -> Iterator[str]:
        """Facts that are needed to read the value, one line each; they stand below a table."""
        return iter(())

    def details(self) -> list[dict[str, float]]:
        """The rows of a file of their own beside the results, one for each part that the value is made of.

        Default none.
        """
        return []

    def params(self) -> dict[str, Any]:
        """The choices behind the value: k, kernel, estimator, seed, …; plain values, every argument among them.

        Two values of a metric are compared only where these are equal.
        """
        return {}

    def findings(self) -> dict[str, Any]:
        """Facts that the data gave besides the value: the slope of a fit, the terms of a mean, …; plain values."""
        return {}

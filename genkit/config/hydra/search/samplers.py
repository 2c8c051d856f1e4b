"""Samplers suggest values, pruners end trainings: those of optuna, each trial with randomness of its own.

A sampler is made for every trial from (seed, number of the trial). So one process that searches is reproducible, two on
one study never suggest the same out of the same generator, and a search that goes on does not repeat its beginning.

References: TPE – Algorithms for Hyper-Parameter Optimization (Bergstra et al. 2011); CMA-ES – The CMA Evolution
Strategy: A Tutorial (Hansen, arXiv 1604.00772); Hyperband (Li et al., arXiv 1603.06560); Optuna (Akiba et al., arXiv
1907.10902).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from genkit.config.hydra.search.options import SearchOptions


class SeededByTrial(BaseSampler):
    """A sampler whose generator belongs to the trial that it serves."""

    def __init__(self, options: SearchOptions) -> None:
        self._options = options
        self._inner = _sampler(options, 0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner = _sampler(self._options, _seed(self._options.seed, trial.number))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._inner.after_trial(study, trial, state, values)


def _seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big")


def _sampler(options: SearchOptions, seed: int) -> BaseSampler:
    """The sampler of a seed; the points of a grid are chosen elsewhere."""
    if options.sampler == "tpe":
        return TPESampler(seed=seed, constant_liar=True)
    if options.sampler == "cmaes":
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)
    return RandomSampler(seed=seed)


def make_pruner(name: str | None, least: int, most: int) -> BasePruner:
    """The pruner of a name, for trainings of `most` steps whose first validation is at step `least`."""
    if name == "median":
        return MedianPruner(n_startup_trials=5)
    if name == "hyperband":
        return HyperbandPruner(min_resource=least, max_resource=max(most, least))
    return NopPruner()

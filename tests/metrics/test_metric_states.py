"""Laws of every metric: order, batches, processes and copies change nothing, and intervals are repeatable."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.c2st import LogisticTest, NeighbourTest
from genkit.metrics.classes import ClassCoverage, ClassImbalance
from genkit.metrics.cmmd import EmbeddingDiscrepancy
from genkit.metrics.copying import Authenticity, CopyingTest
from genkit.metrics.energy import EnergyDistance
from genkit.metrics.frechet import FrechetDistance, ReconstructionFrechet
from genkit.metrics.frechet_infinity import FrechetInfinity
from genkit.metrics.inception_score import InceptionScore
from genkit.metrics.kernel import GaussianDiscrepancy, KernelDistance, SubsetKernelDistance
from genkit.metrics.likelihood import BitsPerDim, LogLikelihoodGap, NegativeLogLikelihood
from genkit.metrics.manifold import Coverage, NeighbourDensity, Precision, Recall
from genkit.metrics.modes import HighQuality, ModeCoverage, ModeImbalance
from genkit.metrics.ndb import DifferentBins
from genkit.metrics.nndr import DistanceRatio
from genkit.metrics.reconstruction import MeanSquaredError, PeakSignalToNoise
from genkit.metrics.sliced_wasserstein import SlicedWasserstein
from genkit.metrics.wasserstein import Wasserstein

METRICS: dict[str, Callable[[], ProbeMetric]] = {
    "fid": FrechetDistance,
    "kid": KernelDistance,
    "kid_subsets": lambda: SubsetKernelDistance(subsets=5, subset_size=20),
    "precision": Precision,
    "recall": Recall,
    "density": NeighbourDensity,
    "coverage": Coverage,
    "mmd": GaussianDiscrepancy,
    "sliced_wasserstein": lambda: SlicedWasserstein(projections=50),
    "mode_coverage": ModeCoverage,
    "high_quality": HighQuality,
    "mode_kl": ModeImbalance,
    "nll": NegativeLogLikelihood,
    "bits_per_dim": BitsPerDim,
    "log_likelihood_gap": LogLikelihoodGap,
    "mse": MeanSquaredError,
    "psnr": PeakSignalToNoise,
    "rfid": ReconstructionFrechet,
    "fid_infinity": FrechetInfinity,
    "inception_score": lambda: InceptionScore(splits=3),
    "class_coverage": ClassCoverage,
    "class_kl": ClassImbalance,
    "wasserstein": lambda: Wasserstein(points=20),
    "energy": EnergyDistance,
    "c2st": NeighbourTest,
    "c2st_logistic": LogisticTest,
    "ndb": lambda: DifferentBins(bins=6),
    "cmmd": EmbeddingDiscrepancy,
    "authenticity": Authenticity,
    "c_t": CopyingTest,
    "nndr": DistanceRatio,
}
SPEC = DataSpec((3,), "vector", (-1.0, 1.0), 256)  # of both kinds: levels for bits, rows for the rest
N = 60


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


REAL, FAKE = drawn(0, 3), 1.2 * drawn(1, 3) + 0.1
OF_REALS = {
    "real": REAL,
    "real_features": REAL,
    "reconstruction": REAL + 0.1 * drawn(2, 3),
    "reconstruction_features": REAL + 0.1 * drawn(2, 3),
    "train_features": drawn(5, 3),
    "log_prob": drawn(3),
    "truth": drawn(4),
}
OF_FAKES = {"fake": FAKE, "fake_features": FAKE, "fake_logits": FAKE}
CENTRES = {"centres": lambda: torch.eye(3), "std": lambda: torch.tensor(0.3)}


def feed(metric: ProbeMetric, of: dict[str, Tensor], rows: slice, batch_size: int) -> None:
    for index in torch.arange(N)[rows].split(batch_size):
        batch = {name: lambda x=x, i=index: x[i] for name, x in of.items()}
        metric.update(Probe(SPEC, {**batch, **CENTRES}))


def fed(make: Callable[[], ProbeMetric], batch_size: int = N, rows: slice = slice(None)) -> ProbeMetric:
    metric = make()
    for of in (OF_REALS, OF_FAKES):
        feed(metric, of, rows, batch_size)
    return metric


each_metric = pytest.mark.parametrize("make", METRICS.values(), ids=METRICS.keys())


@each_metric
def test_batch_size_changes_nothing(make: Callable[[], ProbeMetric]) -> None:
    whole = fed(make).compute()
    assert whole.dtype == torch.float64
    assert whole.shape == ()
    for batch_size in (1, 7):
        assert float(fed(make, batch_size).compute()) == pytest.approx(float(whole), rel=1e-12, abs=1e-12)


@each_metric
def test_the_order_of_rows_changes_nothing(make: Callable[[], ProbeMetric]) -> None:
    """Each of the sets in another order, equal rows among them; batches of another size too."""
    metric, other = make(), make()
    for of, seed in ((OF_REALS, 0), (OF_FAKES, 1)):
        twice = {name: torch.cat([values[: N // 2], values[: N - N // 2]]) for name, values in of.items()}
        order = torch.randperm(N, generator=torch.Generator().manual_seed(seed))
        feed(metric, twice, slice(None), N)
        feed(other, {name: values[order] for name, values in twice.items()}, slice(None), 7)
    assert float(other.compute()) == pytest.approx(float(metric.compute()), rel=1e-12, abs=1e-12)
    ends, wanted = other.interval(20, 0), metric.interval(20, 0)
    assert ends == wanted or ends == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    params = [{**m.params(), "each": None} for m in (metric, other)]
    numbers = [[v for v in found.values() if isinstance(v, float)] for found in params]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-12, abs=1e-12)


@each_metric
def test_two_processes_are_one(make: Callable[[], ProbeMetric]) -> None:
    first, second = fed(make, 7, slice(0, 25)), fed(make, 7, slice(25, N))
    second.merge_state(first)  # the rows of the argument come first
    whole = fed(make)
    assert float(second.compute()) == pytest.approx(float(whole.compute()), rel=1e-12, abs=1e-12)
    ends, wanted = second.interval(20, 0), whole.interval(20, 0)
    assert (ends is None) == (wanted is None)
    assert ends is None or wanted is None or ends == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@each_metric
def test_states_gathered_from_processes_are_one_tensor(make: Callable[[], ProbeMetric]) -> None:
    """What torchmetrics leaves after a gather: a concatenated tensor in place of a list."""
    metric, whole = fed(make, 7), float(fed(make).compute())
    for name, default in metric._defaults.items():
        if isinstance(default, list):
            setattr(metric, name, torch.cat(getattr(metric, name)))
    assert float(metric.compute()) == pytest.approx(whole, rel=1e-12, abs=1e-12)


@each_metric
def test_interval_is_repeatable_and_parameters_are_plain(make: Callable[[], ProbeMetric]) -> None:
    metric = fed(make)
    assert metric.interval(20, 3) == metric.interval(20, 3)
    assert all(isinstance(value, int | float | str | list) for value in (metric.params() | metric.findings()).values())


SMALL: dict[type, dict[str, Any]] = {  # arguments that suit 60 rows
    SubsetKernelDistance: {"subsets": 5, "subset_size": 20},
    SlicedWasserstein: {"projections": 50},
    InceptionScore: {"splits": 3},
    Wasserstein: {"points": 20},
    DifferentBins: {"bins": 6},
}


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return value[:-1]
    return value + 1 if isinstance(value, int) else 2 * value


@each_metric
def test_every_argument_stands_in_the_parameters_and_the_data_changes_none(make: Callable[[], ProbeMetric]) -> None:
    """Else values under unlike choices would be taken for alike, or like ones for unlike."""
    kind = type(make())
    given = SMALL.get(kind, {})
    params = fed(partial(kind, **given)).params()
    for name, argument in inspect.signature(kind).parameters.items():
        changed = {**given, name: another(given.get(name, argument.default))}
        assert fed(partial(kind, **changed)).params() != params, name
    assert fed(partial(kind, **given), rows=slice(0, 50)).params() == params


@each_metric
def test_a_reset_copy_starts_afresh(make: Callable[[], ProbeMetric]) -> None:
    metric = fed(make)
    value = float(metric.compute())
    copy = metric.clone()
    copy.reset()
    for of in (OF_FAKES, OF_REALS):
        feed(copy, of, slice(None), 11)
    assert float(copy.compute()) == pytest.approx(value, rel=1e-12, abs=1e-12)

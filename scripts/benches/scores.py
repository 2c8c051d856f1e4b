"""Scores of the same rows of features, in float64 as the evaluator has them, beside torchmetrics' and prdc's.

Values are compared before times: to 10⁻³ where both are the same estimate, to 5 % where subsets are drawn by other
generators.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from benches.comparison import Bench, Costs, cpu_of, in_turns, installed
from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.kernel import SubsetKernelDistance
from genkit.metrics.manifold import Coverage, NeighbourDensity, Precision, Recall

ROWS, DIM, BATCH, NEIGHBOURS = 10_000, 128, 500, 5

Scores = Callable[[Tensor, Tensor], list[float]]


def normal_rows(rows: int, dim: int) -> tuple[Tensor, Tensor]:
    """Real and fake features (rows, dim): two Gaussians that are a little apart."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    return real, 1.1 * torch.randn(rows, dim, generator=generator, dtype=torch.float64) + 0.05


def compared(ours: Scores, theirs: Scores, tolerance: float, rows: int, dim: int, rounds: int) -> Costs:
    """The costs of the same scores. Raises ValueError where the two sides' values are not the same."""
    real, fake = normal_rows(rows, dim)
    for mine, other in zip(ours(real, fake), theirs(real, fake), strict=True):
        if abs(mine - other) > tolerance * abs(other):
            raise ValueError(f"the two sides score {mine} and {other}")
    return in_turns(cpu_of(partial(ours, real, fake)), cpu_of(partial(theirs, real, fake)), rounds)


def scored(metrics: list[ProbeMetric], real: Tensor, fake: Tensor) -> list[float]:
    """The metrics' values, all fed by one pass as the evaluator does."""
    spec = DataSpec((real.shape[1],), "vector")
    for metric in metrics:
        metric.reset()
    for a, b in zip(real.split(BATCH), fake.split(BATCH), strict=True):
        batch = {"real_features": a, "fake_features": b}
        probe = Probe(spec, {name: lambda rows=rows: rows for name, rows in batch.items()})
        for metric in metrics:
            metric.update(probe)
    return [float(metric.compute()) for metric in metrics]


class Rows(nn.Module):
    """Features that are there already."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, x: Tensor) -> Tensor:
        return x


def frechet_of_torchmetrics(real: Tensor, fake: Tensor) -> list[float]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    return [fed(FrechetInceptionDistance(feature=Rows(real.shape[1])), real, fake)]


def kid_of_torchmetrics(real: Tensor, fake: Tensor) -> list[float]:
    from torchmetrics.image.kid import KernelInceptionDistance

    torch.manual_seed(0)  # its subsets come from the global generator
    metric = KernelInceptionDistance(feature=Rows(real.shape[1]), subsets=100, subset_size=min(1000, len(real) // 2))
    return [fed(metric, real, fake)]


def kid_in_single(real: Tensor, fake: Tensor) -> list[float]:
    return kid_of_torchmetrics(real.float(), fake.float())


def fed(metric: Metric, real: Tensor, fake: Tensor) -> float:
    for side, rows in ((True, real), (False, fake)):
        for batch in rows.split(BATCH):
            metric.update(batch, real=side)
    value = metric.compute()
    return float(value[0] if isinstance(value, tuple) else value)


def balls_of_prdc(real: Tensor, fake: Tensor) -> list[float]:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        found = compute_prdc(real.numpy(), fake.numpy(), nearest_k=NEIGHBOURS)
    return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]


def six_of_peers(real: Tensor, fake: Tensor) -> list[float]:
    """What a user of both programs runs for the same scores."""
    return [*frechet_of_torchmetrics(real, fake), *kid_in_single(real, fake), *balls_of_prdc(real, fake)]


def frechet(rows: int, dim: int, rounds: int) -> Costs:
    return compared(partial(scored, [FrechetDistance()]), frechet_of_torchmetrics, 1e-3, rows, dim, rounds)


def kid(theirs: Scores, rounds: int) -> Costs:
    metric = SubsetKernelDistance(subset_size=min(1000, ROWS // 2))
    return compared(partial(scored, [metric]), theirs, 5e-2, ROWS, DIM, rounds)


def balls(rounds: int) -> Costs:
    return compared(partial(scored, neighbour_scores()), balls_of_prdc, 1e-3, ROWS, DIM, rounds)


def all_six(rounds: int) -> Costs:
    metrics: list[ProbeMetric] = [FrechetDistance(), SubsetKernelDistance(), *neighbour_scores()]
    return compared(partial(scored, metrics), six_of_peers, 5e-2, ROWS, DIM, rounds)


def neighbour_scores() -> list[ProbeMetric]:
    return [kind(k=NEIGHBOURS) for kind in (Precision, Recall, NeighbourDensity, Coverage)]


PEER, PRDC = "torchmetrics", [installed("prdc")]
BENCHES = [
    Bench("metrics-fid-64", "fid of 2,000 rows of 64", PEER, "CPU s", partial(frechet, 2_000, 64), 25),
    Bench("metrics-fid-128", "fid of 10,000 rows of 128", PEER, "CPU s", partial(frechet, ROWS, DIM), 11),
    Bench(
        "metrics-fid-2048", "fid of 2,000 rows of 2,048", PEER, "CPU s", partial(frechet, 2_000, 2_048), 1, full=True
    ),
    Bench("metrics-kid", "kid_subsets", f"{PEER}, float64", "CPU s", partial(kid, kid_of_torchmetrics), 2),
    Bench("metrics-kid-single", "kid_subsets", f"{PEER}, float32", "CPU s", partial(kid, kid_in_single), 3),
    Bench("metrics-balls", "precision, recall, density, coverage", "prdc", "CPU s", balls, 1, needs=PRDC),
    Bench("metrics-six", "fid, kid_subsets and these four", f"{PEER} and prdc", "CPU s", all_six, 1, True, PRDC),
]

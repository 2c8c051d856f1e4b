#!/usr/bin/env python3
"""How often an interval of 95 % holds the mean score: draws of normal data, counted for both intervals.

    python scripts/interval_coverage.py --draws 200 fid kid

For each metric and size (N reference rows, n samples, d columns; samples shifted by `shift` and stretched by `scale`):
the share of `ci95` that hold the mean score against one reference, and of `ci95_redrawn` that hold the mean over
references too. Prints a table in Markdown.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe
from genkit.metrics.c2st import NeighbourTest
from genkit.metrics.energy import EnergyDistance
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.kernel import GaussianDiscrepancy, KernelDistance
from genkit.metrics.manifold import Coverage, NeighbourDensity, Precision, Recall
from genkit.metrics.pair_metric import PairMetric
from genkit.metrics.sliced_wasserstein import SlicedWasserstein
from genkit.noise import generator_of

METRICS: dict[str, Callable[[], PairMetric]] = {
    "fid": FrechetDistance,
    "kid": KernelDistance,
    "mmd": GaussianDiscrepancy,
    "energy": EnergyDistance,
    "sliced_wasserstein": lambda: SlicedWasserstein(projections=50),
    "precision": Precision,
    "recall": Recall,
    "density": NeighbourDensity,
    "coverage": Coverage,
    "c2st": NeighbourTest,
}
SIZES = (
    (200, 200, 4, 0.0, 1.0),
    (500, 500, 8, 0.5, 0.9),
    (200, 200, 16, 0.8, 0.8),
    (2000, 300, 32, 0.5, 0.95),
    (1000, 500, 64, 0.0, 1.0),
)
LARGE = ((5000, 300, 32, 0.0, 1.0), (5000, 300, 32, 0.5, 0.95), (2000, 2000, 4, 0.6, 1.0), (200, 5000, 16, 0.0, 1.0))

Score = tuple[float, tuple[float, float] | None]


def scored(make: Callable[[], PairMetric], real: Tensor, fake: Tensor, redrawn: bool) -> Score:
    metric = make()
    quantities = {"real": real, "real_features": real, "fake": fake, "fake_features": fake}
    metric.update(Probe(DataSpec((2,), "vector"), {name: lambda rows=rows: rows for name, rows in quantities.items()}))
    ends = metric.redrawn_interval(50, 0) if redrawn else metric.interval(50, 0)
    return float(metric.compute()), ends


def covered(scores: list[Score]) -> str:
    mean = sum(value for value, _ in scores) / len(scores)
    ends = [interval for _, interval in scores if interval is not None]
    return f"{sum(low <= mean <= high for low, high in ends) / len(ends):.2f}" if ends else "none"


def row(name: str, size: tuple[int, int, int, float, float], draws: int) -> str:
    total, n, d, shift, scale = size
    generator = generator_of(0, "interval coverage", total, n, d)

    def normal(rows: int) -> Tensor:
        return torch.randn(rows, d, generator=generator, dtype=torch.float64)

    def samples() -> Tensor:
        return normal(n) * scale + shift / d**0.5

    reference = normal(total)
    given = [scored(METRICS[name], reference, samples(), False) for _ in range(draws)]
    redrawn = [scored(METRICS[name], normal(total), samples(), True) for _ in range(draws)]
    return f"| {name} | {total} | {n} | {d} | {shift} | {scale} | {covered(given)} | {covered(redrawn)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", nargs="*", default=list(METRICS), help=f"of {', '.join(METRICS)}")
    parser.add_argument("--draws", type=int, default=200)
    args = parser.parse_args()
    print("| score | N | n | d | shift | scale | this reference | redrawn |\n|---|---|---|---|---|---|---|---|")
    for name in args.metrics:
        for size in (*SIZES, *(LARGE if name == "fid" else ())):
            print(row(name, size, args.draws), flush=True)


if __name__ == "__main__":
    main()

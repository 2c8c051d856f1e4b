#!/usr/bin/env python3
"""How often fresh data is said to be copied, and copies are: draws of normal data, scored as two files.

    python scripts/copying_rate.py --draws 200

For each size (N reference rows, n samples, d columns) and draw: n fresh rows, n of the N rows, and those with noise of
one level of 256. Every metric of two sets of vectors is asked, with the number of floor repeats going round, since any
of them may set off the search for copies.
"""

import argparse

import torch

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.metrics.energy import EnergyDistance
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.kernel import KernelDistance
from genkit.noise import generator_of

SIZES = ((2000, 1000, 64), (1000, 500, 32), (400, 400, 16), (5000, 300, 32))
METRICS = {"fid": FrechetDistance, "kid": KernelDistance, "energy": EnergyDistance}
LEVEL = 8.0 / 256  # of 256 levels over four standard deviations either way


def accused(reference: torch.Tensor, samples: torch.Tensor, draw: int) -> bool:
    """Whether a score of the samples against the reference, as files, comes with a warning of copies."""
    spec = DataSpec((reference.shape[1],), "vector")
    names = list(METRICS)
    name = names[draw % len(names)]
    score = Evaluator(
        {name: METRICS[name]()},
        RawFeatures("std"),
        Reference(spec, InMemory(reference.float()), "file"),
        named=True,
        floor_repeats=draw % 6,
        bootstrap_repeats=0,
    )
    records = score.score_samples(samples.float())
    return any("cop" in warning for record in records for warning in record.warnings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    args = parser.parse_args()
    for total, n, d in SIZES:
        counts = {"fresh": 0, "copies": 0, "copies with noise": 0}
        for draw in range(args.draws):
            generator = generator_of(draw, "copying rate", total, n, d)
            reference, fresh = (torch.randn(k, d, generator=generator) for k in (total, n))
            copies = reference[torch.randperm(total, generator=generator)[:n]]
            noise = torch.randint(-1, 2, copies.shape, generator=generator)
            sets = {"fresh": fresh, "copies": copies, "copies with noise": copies + LEVEL * noise}
            for kind, samples in sets.items():
                counts[kind] += accused(reference, samples, draw)
        said = ", ".join(f"{kind} {count}/{args.draws}" for kind, count in counts.items())
        print(f"N={total} n={n} d={d}: accused {said}", flush=True)


if __name__ == "__main__":
    main()

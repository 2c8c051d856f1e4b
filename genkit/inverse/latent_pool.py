"""A pool of draws of a generator, which the starts for every example are chosen from.

Gradients lead from a start to the nearest z that explains a measurement, not to the best, and four starts of 64
dimensions are all far from it. Thousands of draws, decoded once for all examples, have some near each of them; to
compare them with an example costs two products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.inverse.posterior_sampler import Observation


@dataclass(frozen=True)
class LatentPool:
    """Draws z of p(z | y), each with its x = g(z).

    Attributes:
        z: (N, D).
        x: (N, *shape) model values.
        y: (N,) labels, None of a generator without.
    """

    z: Tensor
    x: Tensor
    y: Tensor | None

    def errors(self, observation: Observation, y: Tensor | None) -> Tensor:
        """‖v − A x‖² / m of every example and every draw, (B, N).

        Infinite for draws of another label than y (B,), if any are of that one.
        """
        v, task = observation.v, observation.task
        measured = task.measured(v).flatten(1).to(v)
        v, a = v.flatten(1), task.unhidden(self.x).flatten(1)
        sums = (measured * v.square()).sum(1, keepdim=True) - 2 * (measured * v) @ a.T + measured @ a.square().T
        errors = sums.clamp(min=0) / observation.counts[:, None]
        if y is None or self.y is None:
            return errors
        same = self.y == y[:, None]
        return torch.where(same | ~same.any(1, keepdim=True), errors, torch.inf)

r"""The field along which generated samples drift: towards data, away from each other.

With examples y⁺ of the data p, samples y⁻ of the generator q and the kernel k(x, y) = exp(−‖x − y‖ / τ m), m the mean
distance of all pairs,

.. math:: V_{p,q}(x) = \sum_{i,j} a(x, y^+_i)\, a(x, y^-_j)\, (y^+_i - y^-_j),

is the mean shift to the data less the mean shift to the generator's own samples. It is anti-symmetric, V_{p,q} =
−V_{q,p}, and so 0 everywhere where p = q: samples rest when they are distributed as the data. The weights a are the
kernel's, divided by their sum over all y and by that over all x, a² = (k / Σ_y k)(k / Σ_x k): the first makes V
independent of how far x is from everything, the second keeps a single y from drawing every x.

The kernel sees no further than some τ m. So several τ are taken, and the fields added, each divided by its own root
mean square where `normalised`: the far one brings samples to the data, the near one puts them in their places.

References: Generative Modeling via Drifting (Deng et al. 2026, 2602.04770).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from genkit.component import Component, PositiveFloat
from genkit.errors import ConfigError

LEAST = 1e-12  # below any distance and any drift that means something


class Drift(NamedTuple):
    """Displacements of samples.

    Attributes:
        displacement: V (B, *shape), in the units of the data.
        size: Root mean square of ‖V‖ over samples in units of m, before any division, averaged over temperatures, ().
    """

    displacement: Tensor
    size: Tensor


class DriftField(Component):
    """Attraction to data minus repulsion from samples, by exponential kernels of several widths.

    Arguments:
        temperatures: τ, in units of the mean distance of two examples; the fields are added.
        normalised: Whether each is divided by its root mean square, so that samples go the same way at every step.

    Raises:
        ConfigError: without any temperature.
    """

    def __init__(self, temperatures: tuple[PositiveFloat, ...] = (0.1,), normalised: bool = False) -> None:
        if not temperatures:
            raise ConfigError("model.field.temperatures=[]: name one or more, such as [0.05]")
        self.temperatures, self.normalised = temperatures, normalised

    @torch.no_grad()
    def __call__(self, x: Tensor, data: Tensor, samples: Tensor, of_data: Tensor, of_samples: Tensor) -> Drift:
        """Displacements of the points x (B, *shape).

        Args:
            x: The points.
            data, samples: y⁺ (P, *shape) and y⁻ (Q, *shape).
            of_data, of_samples: Bool (B, P) and (B, Q): which of them a point sees. One without samples stays.
        """
        with torch.autocast(x.device.type, enabled=False):  # differences of means that are nearly equal
            points, others = x.flatten(1).float(), torch.cat([data, samples]).flatten(1).float()
            seen, distance = torch.cat([of_data, of_samples], 1), torch.cdist(points, others)
            mean = ((distance * seen).sum() / seen.sum().clamp(min=1)).clamp(min=LEAST)
            fields = [
                self._field(points, others, len(data), distance / (tau * mean), seen) for tau in self.temperatures
            ]
            norms = [field.square().sum(1).mean().sqrt() / mean for field in fields]
            if self.normalised:
                fields = [field / norm.clamp(min=LEAST) for field, norm in zip(fields, norms, strict=True)]
            return Drift(torch.stack(fields).sum(0).view_as(x), torch.stack(norms).mean())

    @staticmethod
    def _field(points: Tensor, others: Tensor, count: int, distance: Tensor, seen: Tensor) -> Tensor:
        """V (B, D) of one temperature, from distances (B, P + Q) in its units; the first `count` others are data."""
        scores = (-distance).masked_fill(~seen, torch.finfo(distance.dtype).min)
        weights = (scores.softmax(1) * scores.softmax(0)).sqrt() * seen
        attract, repel = weights[:, :count], weights[:, count:]
        towards = (attract * repel.sum(1, keepdim=True)) @ others[:count]
        return towards - (repel * attract.sum(1, keepdim=True)) @ others[count:]

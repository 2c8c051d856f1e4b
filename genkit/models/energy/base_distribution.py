r"""A base distribution that covers standardised data: known density, exact draws, and wider than the data everywhere.

.. math:: q(u) = w_1 N(u; 0, s_1^2 I) + w_2\, U[-h, h]^D + w_3 N(u; 0, s_3^2 I)

A normal alone is thin in the corners of the data, a box alone ends; the broad normal bounds the importance weights
p / q where both have ended. Data of more than a few dimensions fills no such volume.
"""

import math

import torch
from torch import Tensor

from genkit.batch_noise import normal, uniform
from genkit.component import Component, PositiveFloat
from genkit.errors import ConfigError
from genkit.noise import Noise

SHARES = 0.45, 0.45, 0.1  # of the normal, of the box, of the broad normal


FEW = 4  # values of an example up to which the data's volume can be covered
NEAR = 1.0, 1.5, 1.5  # s_1, h and s_3 around data of more values, which no base covers


class CoveringBase(Component):
    """A normal, a box and a broad normal around standardised data.

    Arguments:
        std: s_1, in standard deviations of the data.
        half_width: h.
        tail_std: s_3.
    """

    def __init__(
        self, std: PositiveFloat = 1.5, half_width: PositiveFloat = 3.0, tail_std: PositiveFloat = 4.0
    ) -> None:
        if tail_std < std:
            raise ConfigError(
                f"base.tail_std={tail_std:g} must not be below base.std={std:g}: the tail is the wider one"
            )
        self.std, self.half_width, self.tail_std = std, half_width, tail_std

    def log_prob(self, u: Tensor, counted: Tensor | None = None) -> Tensor:
        """log q of points u (N, *shape), (N,), of those coordinates alone that are `counted` (N, *shape), if given."""
        u = u.flatten(1)
        count = torch.ones_like(u, dtype=torch.bool) if counted is None else counted.flatten(1)
        dim, square = count.sum(1), (u.square() * count).sum(1)
        normals = [
            -square / (2 * std**2) - dim * (math.log(std) + 0.5 * math.log(2 * math.pi))
            for std in (self.std, self.tail_std)
        ]
        inside = ((u.abs() <= self.half_width) | ~count).all(1)
        box = torch.where(inside, -dim * math.log(2 * self.half_width), -math.inf).to(u)
        parts = torch.stack([normals[0], box, normals[1]])
        return torch.logsumexp(parts + parts.new_tensor(SHARES).log()[:, None], 0)

    def in_training(self, n: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """n points (n, *shape), by their position in the batch (`genkit.batch_noise`)."""
        choice = uniform(n, device=device)
        return self._place(choice, normal(n, *shape, device=device), uniform(n, *shape, device=device))

    def from_noise(self, count: int, shape: tuple[int, ...], noise: Noise) -> Tensor:
        """count points for each sample, (n, count, *shape), row by row a function of the sample."""
        choice, places = torch.special.ndtr(noise(count)), noise(count, *shape)
        flat = self._place(choice.flatten(), places.flatten(0, 1), torch.special.ndtr(places).flatten(0, 1))
        return flat.unflatten(0, places.shape[:2])

    def _place(self, choice: Tensor, eps: Tensor, u: Tensor) -> Tensor:
        """Points of standard normals eps and uniforms u in [0, 1), both (n, *shape), in the part of `choice` (n,)."""
        choice = choice.reshape(-1, *[1] * (eps.ndim - 1))
        outer = torch.where(choice < SHARES[0] + SHARES[1], self.half_width * (2 * u - 1), self.tail_std * eps)
        return torch.where(choice < SHARES[0], self.std * eps, outer)


def default_base(shape: tuple[int, ...]) -> CoveringBase:
    """One that covers few values; of more, one about as wide as the data, where chains may start."""
    return CoveringBase() if math.prod(shape) <= FEW else CoveringBase(*NEAR)

r"""Bijections between data x and latent z, with the density that they carry over.

Change of variables, for z = f(x; y) with Jacobian J:

.. math:: \log p_X(x \mid y) = \log p_Z(f(x; y)) + \log |\det J_f(x; y)|.

`Transform` is the contract, `Chain` composes, `Rescale` maps a fixed interval onto [−1, 1], `Logit` onto the real line,
`Reshape` keeps the values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from math import log
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Transform(nn.Module, ABC):
    """A differentiable bijection on one example, possibly conditioned on a label.

    Attributes:
        exact: Whether the log-determinant is computed, not estimated; of this layer alone, see `is_exact`.
    """

    exact: bool = True

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, …) and labels y (B,) to (z, log_abs_det (B,)) with log_abs_det = log |det dz/dx|."""

    @abstractmethod
    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The x with forward(x, y)[0] = z."""

    def initialise(self, x: Tensor) -> None:
        """Fit to the values (B, …) of the first training batch that reach this layer; default nothing."""

    def penalty(self) -> Tensor | None:
        """The term that the last forward pass in training adds to the loss, shape (); given once, then None."""
        return None

    def reseed(self, seed: int) -> None:
        """Choose what a layer that is not exact draws in evaluation; default nothing."""


def per_example(values: Tensor) -> Tensor:
    """(B, …) summed over everything but the batch: (B,)."""
    return values.flatten(1).sum(1)


class Chain(Transform):
    """f = f_L ∘ … ∘ f_1: the layers in the order in which data passes them."""

    def __init__(self, layers: Iterable[Transform]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_abs_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, term = layer(x, y)
            log_abs_det = log_abs_det + term
        return x, log_abs_det

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        for layer in reversed(cast(Sequence[Transform], self.layers)):
            z = layer.inverse(z, y)
        return z


class Rescale(Transform):
    """The increasing affine map of [low, high] onto [−1, 1], value by value."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.centre, self.half_width = (low + high) / 2, (high - low) / 2

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = (x - self.centre) / self.half_width
        return z, x.new_full((len(x),), -log(self.half_width) * x[0].numel())

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.centre + self.half_width * z


class Logit(Transform):
    """(low, high) to the real line, value by value: z = logit(α + (1 − 2α) u), u = (x − low) / (high − low).

    References: Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803, section 4.1.

    Arguments:
        low, high: Ends of the interval; values beyond them are taken for the ends.
        alpha: α, how far the ends stay from infinity.
    """

    def __init__(self, low: float, high: float, alpha: float) -> None:
        super().__init__()
        self.low, self.width, self.alpha = low, high - low, alpha

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        share = ((x - self.low) / self.width).clamp(0, 1)
        z = torch.logit(self.alpha + (1 - 2 * self.alpha) * share)
        slope = log((1 - 2 * self.alpha) / self.width) - F.logsigmoid(z) - F.logsigmoid(-z)
        return z, per_example(slope)

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.low + self.width * (torch.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha)


class Reshape(Transform):
    """The same values in another shape: (B, *before) to (B, *after)."""

    def __init__(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.reshape(len(x), *self.after), x.new_zeros(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z.reshape(len(z), *self.before)


def is_exact(transform: Transform) -> bool:
    """Tell whether every layer computes its log-determinant exactly."""
    return all(module.exact for module in transform.modules() if isinstance(module, Transform))

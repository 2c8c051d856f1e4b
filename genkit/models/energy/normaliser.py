r"""The normaliser of an energy, log Z = log ∫ p̃(u) du, so that a density can be said in nats.

**Quadrature.** In one or two dimensions a grid of equal spacing h: Z ≈ h^D Σ p̃. For a smooth density that has ended
inside the grid the error falls as exp(−2π² s² / h²) with the finest detail s. Where that is is found on a coarse grid
first; every other point of the fine one gives a second value, whose distance is the error that is reported.

**Annealed importance sampling** elsewhere (`annealed_importance.py`): an estimate whose logarithm is low on average, so
that a likelihood by it reads too good.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Component, Range
from genkit.errors import ConfigError, NumericalError
from genkit.models.density import Bound

ROWS = 2**16  # points at once
REACH = 6.0  # standard deviations of the tail that the coarse grid looks at
COARSE = 201  # points of it along each dimension
NEGLIGIBLE = 30.0  # nats below the peak at which a point of it is outside


@dataclass(frozen=True)
class LogZ:
    """An estimate of log Z under each of K labels.

    Attributes:
        value: (K,) float64, nats.
        se: (K,) its standard error, or its error where it is deterministic.
        method: What it is by, in words.
        caution: What the reader of a likelihood by it has to know; "" where nothing.
    """

    value: Tensor
    se: Tensor
    method: str
    caution: str = ""


class Normaliser(Component, ABC):
    r"""log Z of p̃(u | y) = exp(f(u)_y − ‖u‖² / 2 s²), of which f is any function and the rest the tail.

    Attributes:
        bound: What a density by it is.
        costly: Whether it takes long enough to be asked for by name.
    """

    bound: Bound
    costly: bool

    @abstractmethod
    def __call__(self, f: Callable[[Tensor], Tensor], tail_std: float, shape: tuple[int, ...], like: Tensor) -> LogZ:
        """log Z for f from points (N, *shape) to (N, K), s = `tail_std`; computed where and as `like` is.

        Raises NumericalError where f is not finite.
        """


class Quadrature(Normaliser):
    """By a grid over the plane or the line.

    Arguments:
        points: Along each dimension.
    """

    bound: Bound = "exact"
    costly = False

    def __init__(self, points: Annotated[int, Range(16, 10_000)] = 800) -> None:
        self.points = points

    @torch.no_grad()
    def __call__(self, f: Callable[[Tensor], Tensor], tail_std: float, shape: tuple[int, ...], like: Tensor) -> LogZ:
        dim = torch.Size(shape).numel()
        if dim > 2:
            raise ConfigError(
                f"model.normaliser: Quadrature sums over a grid of one or two dimensions, and this data has {dim:,} "
                "values: choose AnnealedImportance"
            )

        def log_density(u: Tensor) -> Tensor:
            u = u.to(like)
            tail = u.square().sum(1, keepdim=True) / (2 * tail_std**2)
            return (f(u.unflatten(1, shape)) - tail).double()

        reach = REACH * tail_std
        coarse = [torch.linspace(-reach, reach, COARSE, dtype=torch.float64)] * dim
        axes = [self._axis(axis, side) for axis, side in zip(coarse, self._occupied(log_density, coarse), strict=True)]
        values = _on_grid(log_density, axes)
        if not bool(torch.isfinite(values).all()):
            raise NumericalError("the energy is not finite on the plane: the model diverged; use an earlier checkpoint")
        cell = sum(log(float(axis[1] - axis[0])) for axis in axes)
        fine = torch.logsumexp(values.flatten(0, -2), 0) + cell
        every_other = values[(slice(None, None, 2),) * dim].flatten(0, -2)
        error = (torch.logsumexp(every_other, 0) + cell + dim * log(2.0) - fine).abs()
        return LogZ(fine.cpu(), error.cpu(), f"quadrature on {' x '.join([f'{self.points:,}'] * dim)} points")

    def _axis(self, coarse: Tensor, side: tuple[int, int]) -> Tensor:
        low, high = side
        return torch.linspace(float(coarse[low]), float(coarse[high]), self.points, dtype=torch.float64)

    @staticmethod
    def _occupied(log_density: Callable[[Tensor], Tensor], axes: list[Tensor]) -> list[tuple[int, int]]:
        """Along each axis the first and the last point of the coarse grid that matter, with two more on either side."""
        values = _on_grid(log_density, axes)
        if not bool(torch.isfinite(values).all()):
            raise NumericalError("the energy is not finite on the plane: the model diverged; use an earlier checkpoint")
        matters = (values > values.flatten(0, -2).amax(0) - NEGLIGIBLE).any(-1)
        sides = []
        for k in range(len(axes)):
            others = [d for d in range(matters.ndim) if d != k]
            along = (matters.any(others[0]) if others else matters).nonzero()[:, 0]
            sides.append((max(0, int(along[0]) - 2), min(COARSE - 1, int(along[-1]) + 2)))
        return sides


def _on_grid(log_density: Callable[[Tensor], Tensor], axes: list[Tensor]) -> Tensor:
    """Values (n_1, …, n_D, K) at all points of a grid with these axes."""
    points = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    values = torch.cat([log_density(rows) for rows in points.split(ROWS)])
    return values.reshape(*map(len, axes), -1)

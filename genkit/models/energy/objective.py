r"""Objectives that train an energy by points of a base distribution with a known density, without chains.

With the unnormalised log-density f(u) = log p̃(u) of standardised data u, and v_j ~ q from the base,

.. math::

    \text{maximum likelihood} &\quad -f(u) + \log \hat Z, \qquad
        \hat Z = \frac1M \sum_j \frac{e^{f(v_j)}}{q(v_j)} \\
    \text{NCE} &\quad -\log \sigma(g(u)) - \nu \log \sigma(-g(v)), \qquad g = f - c - \log q - \log \nu

The estimate of Z is unbiased, its logarithm low by about Var(Ẑ) / 2 Z². Noise-contrastive estimation tells data from
ν base points per datum; at its optimum the learned constant c is log Z. Both need q to cover the data, and so few
dimensions. Objectives by chains stand in `contrastive.py`, by scores in `score_matching.py`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Component, Count
from genkit.errors import ConfigError
from genkit.models.energy.base_distribution import FEW, CoveringBase

LogDensities = Callable[[Tensor], Tensor]  # points u (N, *shape) to log p̃(u | y) under each label, (N, K)


def under(log_densities: Tensor, y: Tensor | None) -> Tensor:
    """Of (N, K) those under the labels y (N,), or of a model without labels the one there is, (N,)."""
    return log_densities[:, 0] if y is None else log_densities.gather(1, y[:, None])[:, 0]


class EnergyObjective(nn.Module, Component, ABC):
    """A loss of an unnormalised log-density of standardised data.

    Arguments:
        shape: Of one example.
        num_classes: K, None without labels.

    Attributes:
        is_likelihood: Whether the loss is −log p in nats.
        joint: Whether densities under different labels are trained on one scale, so that their sum is p(x).
        always_labelled: Whether it trains nothing without labels.
    """

    is_likelihood: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    always_labelled: ClassVar[bool] = False

    def __init__(self, *, shape: tuple[int, ...], num_classes: int | None) -> None:
        super().__init__()
        self.shape, self.num_classes = shape, num_classes

    @abstractmethod
    def losses(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """ "loss" and its named terms, each (), at standardised data u (B, *shape) with labels y (B,) or None."""


class EnergyObjectiveFactory(Protocol):
    """A model's `objective` argument: a loss, to be given what the model knows of its data."""

    def __call__(self, *, shape: tuple[int, ...], num_classes: int | None) -> EnergyObjective: ...


class ImportanceML(EnergyObjective):
    """Maximum likelihood, log Z by importance sampling from the base; without chains and without tuning.

    Arguments:
        shape, num_classes: As `EnergyObjective`.
        base: q; None takes a normal, a box and a broad normal.
        draws: M, base points in each step.

    Raises:
        ConfigError: the data has more dimensions than a base covers.
    """

    is_likelihood: ClassVar[bool] = True

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        num_classes: int | None,
        base: CoveringBase | None = None,
        draws: Count = 1024,
    ) -> None:
        super().__init__(shape=shape, num_classes=num_classes)
        refuse_many("ImportanceML", shape)
        self.base, self.draws = base or CoveringBase(), draws

    def losses(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        v = self.base.in_training(self.draws, self.shape, u.device).to(u)
        of_data, of_base = log_densities(torch.cat([u, v])).split([len(u), len(v)])
        weights = of_base - self.base.log_prob(v)[:, None]  # log p̃ / q, (M, K)
        log_z = torch.logsumexp(weights, 0, keepdim=True) - math.log(self.draws)
        loss = -under(of_data - log_z, y).mean()
        return {"loss": loss, "log_z": log_z.mean()}


class NCE(EnergyObjective):
    """Noise-contrastive estimation: tell data from points of the base; log Z is learned besides.

    References: Noise-contrastive estimation (Gutmann & Hyvärinen 2010).

    Arguments:
        shape, num_classes: As `EnergyObjective`.
        base: q; None takes a normal, a box and a broad normal.
        ratio: ν, base points for each datum.

    Raises:
        ConfigError: the data has more dimensions than a base covers.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        num_classes: int | None,
        base: CoveringBase | None = None,
        ratio: Count = 2,
    ) -> None:
        super().__init__(shape=shape, num_classes=num_classes)
        refuse_many("NCE", shape)
        self.base, self.ratio = base or CoveringBase(), ratio
        self.log_z = nn.Parameter(torch.zeros(num_classes or 1))  # c, of each label

    def losses(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        n = len(u)
        parts = [self.base.in_training(n, self.shape, u.device).to(u) for _ in range(self.ratio)]
        points = torch.cat([u, *parts])
        labels = None if y is None else y.repeat(1 + self.ratio)  # a base point under the label of its datum
        odds = under(log_densities(points) - self.log_z, labels) - self.base.log_prob(points) - math.log(self.ratio)
        loss = F.softplus(-odds[:n]).mean() + self.ratio * F.softplus(odds[n:]).mean()
        return {"loss": loss, "log_z": self.log_z.mean()}


def refuse_many(name: str, shape: tuple[int, ...]) -> None:
    """Raises ConfigError for data of more dimensions than a base distribution covers."""
    if (dim := math.prod(shape)) > FEW:
        raise ConfigError(
            f"model.objective: {name} compares with a base distribution that covers up to {FEW} values, and this data "
            f"has {dim:,}: choose model=dsm_ebm, or model=pcd_ebm"
        )

r"""Denoisers: the posterior mean of the clean example given a noisy one,

.. math:: D(x_t, t) = E[x \mid x_t], \qquad x_t = \alpha_t x + \sigma_t \epsilon.

Everything that a diffusion model learns is this function; ε-, v-, x0-prediction, EDM and flow matching are ways to
write a network's output as it (`parametrisation.py`). Samplers and guidance see nothing but a `Denoiser`.

In this file: the contract, the exact denoiser of a Gaussian mixture (ground truth), and denoisers made of another one:
with its labels fixed, on another schedule, with its answer clipped.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genkit.diffusion.schedule import Schedule
from genkit.distributions import draw_by_shares


def expand_to(value: Tensor, x: Tensor) -> Tensor:
    """(B,) to (B, 1, …, 1), to stand beside x (B, *shape)."""
    return value.reshape(-1, *[1] * (x.ndim - 1))


class Denoiser(nn.Module, ABC):
    """D(x_t, t, y) for noise added by `schedule`."""

    schedule: Schedule

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """x_t (B, *shape), t (B,), y (B,) int64 to E[x | x_t] (B, *shape)."""

    def reverse(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E[x | x_t] and by how much a step down is wider than the posterior, () or (B, *shape).

        0 is the variance of the posterior q(x_s | x_t, x), 1 that of the step up (`stochastic.py`); 0 unless learned.
        """
        return self(x_t, t, y), x_t.new_zeros(())


class MixtureDenoiser(Denoiser):
    r"""The exact denoiser of a mixture of isotropic Gaussians Σ w_k N(μ_k, s_k² I).

    .. math:: D(x_t) = \sum_k p(k \mid x_t)
        \Big(\mu_k + \frac{\alpha s_k^2}{\alpha^2 s_k^2 + \sigma^2} (x_t - \alpha \mu_k)\Big)

    Arguments:
        means: μ (K, D).
        stds: s (K,).
        weights: w (K,), summing to 1.
        schedule: How noise was added.
    """

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor, schedule: Schedule) -> None:
        super().__init__()
        self.means, self.stds, self.log_weights, self.schedule = means, stds, weights.log(), schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha, sigma = (value[:, None] for value in self.schedule(t))  # (B, 1)
        variance = (alpha * self.stds) ** 2 + sigma**2  # (B, K)
        residual = x_t[:, None] - alpha[..., None] * self.means  # (B, K, D)
        log_p = self.log_weights - residual.square().sum(-1) / (2 * variance) - x_t.shape[1] / 2 * variance.log()
        posterior = self.means + (alpha * self.stds**2 / variance)[..., None] * residual
        return (log_p.softmax(dim=1)[..., None] * posterior).sum(1)


class Labelled(Denoiser):
    """A denoiser with its labels fixed, so that a sampler need not know of them.

    Arguments:
        denoiser: The conditional denoiser.
        y: Labels (B,) int64, or None for an unconditional one. Of k · B examples the first k have the first label, ….
    """

    def __init__(self, denoiser: Denoiser, y: Tensor | None) -> None:
        super().__init__()
        self.denoiser, self.schedule, self.y = denoiser, denoiser.schedule, y

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.denoiser(x_t, t, self._each(len(x_t)))

    def reverse(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.denoiser.reverse(x_t, t, self._each(len(x_t)))

    def _each(self, n: int) -> Tensor | None:
        if self.y is None or len(self.y) == n:
            return self.y
        return self.y.repeat_interleave(n // len(self.y))


class RowLabelled(Denoiser):
    """A conditional denoiser of rows that have labels of their own, which are inferred beside the examples.

    Arguments:
        make: From labels (R,) to the denoiser of R rows with these.
        shares: (1, K), how often each of K labels is beforehand, or (n, K) of each of n examples.
    """

    def __init__(self, make: Callable[[Tensor], Denoiser], shares: Tensor) -> None:
        super().__init__()
        self.make, self.shares = make, shares
        self.schedule = make(torch.zeros(1, dtype=torch.int64)).schedule
        self.y = torch.zeros(0, dtype=torch.int64)

    def begin(self, u: Tensor, size: int, device: torch.device) -> None:
        """Give each of several groups of `size` rows the labels in their shares, as nearly as so few rows can.

        Args:
            u: (groups, 1) uniform in (0, 1): which labels, where rows are not a multiple of these.
            size: Rows of a group, which are those of one example.
            device: Of the rows.
        """
        places = (torch.arange(size, device=device) + u.to(device)) / size
        of_rows = self.shares.to(device).expand(len(u), -1).repeat_interleave(size, 0)
        self.y = draw_by_shares(of_rows, places.flatten())

    def take(self, rows: Tensor) -> None:
        """Keep the labels of these rows (R,), in this order."""
        self.y = self.y[rows]

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.make(self.y)(x_t, t)

    def reverse(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.make(self.y).reverse(x_t, t)


def unlabelled(denoiser: Denoiser, num_classes: int, n: int, device: torch.device) -> Labelled:
    """The denoiser asked without a label: the index after the last class."""
    return Labelled(denoiser, torch.full((n,), num_classes, device=device))


class Rescheduled(Denoiser):
    """A denoiser on another schedule: the posterior depends on the noise level alone, D(x̄, σ̄).

    So a model trained on one schedule can be sampled along another, and two models can guide each other.

    Arguments:
        denoiser: The denoiser on its own schedule.
        schedule: The schedule of the x_t and t that are given; levels beyond its own are taken at its end.
    """

    def __init__(self, denoiser: Denoiser, schedule: Schedule) -> None:
        super().__init__()
        self.denoiser, self.schedule = denoiser, schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha, sigma = self.schedule(t)
        own = self.denoiser.schedule.time(sigma / alpha)
        own_alpha, _ = self.denoiser.schedule(own)
        return self.denoiser(x_t * expand_to(own_alpha / alpha, x_t), own, y)


class Clipped(Denoiser):
    """The posterior mean of bounded data lies in its range: an estimate outside is brought back (Ho et al. 2020).

    Arguments:
        denoiser: The denoiser.
        low, high: The data's range.
    """

    def __init__(self, denoiser: Denoiser, low: float, high: float) -> None:
        super().__init__()
        self.denoiser, self.schedule, self.low, self.high = denoiser, denoiser.schedule, low, high

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.denoiser(x_t, t, y).clamp(self.low, self.high)

    def reverse(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, widening = self.denoiser.reverse(x_t, t, y)
        return mean.clamp(self.low, self.high), widening

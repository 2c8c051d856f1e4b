r"""Log-likelihoods of diffusion models, by the probability-flow equation or by the variational bound.

**Flow.** In the angle θ = arctan σ, y = cos θ · x̄ moves with the velocity v of `adaptive.py`, and along it

.. math:: \log p_{\theta_0}(y_0) = \log N(y_1; 0, \sin^2 \theta_1)
          + \int_{\theta_0}^{\theta_1} \nabla \cdot v\; d\theta, \\
          \nabla \cdot v = \frac{D \cos\theta - \mathrm{tr}\, \partial_y D}{\sin\theta}

(D the dimension in the first term of the numerator, the denoiser in the second). The trace is exact in few dimensions
and estimated by probes of random signs above, e^T (∂D) e (Hutchinson). It is the density of the data with the
schedule's least noise on it, solved with finite steps: an estimate.

**Bound.** For a chain of T steps whose reverse draws from q(x_s | x_t, D),

.. math:: -\log p(x) \le KL(q(x_1 | x) \| N(0, \sigma_1^2)) + \tfrac12 \sum (snr_s - snr_t) \| x - D(x_t, t) \|^2
          - E \log p(x \mid x_0);

a learned variance of the reverse step enters as in `learned_variance.py`.

References: Song et al. 2020, 2011.13456; FFJORD (Grathwohl et al. 2018, 1810.01367); Ho et al. 2020, 2006.11239;
Variational Diffusion Models (Kingma et al. 2021, 2107.00630).

The random numbers of both are a function of a seed and the example's own values, so a value never depends on the batch,
and the errors of two examples are independent.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from genkit.component import Component, Count, NonNegativeInt, Range
from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.schedule import Schedule
from genkit.diffusion.time_grid import KarrasGrid, LogSNRGrid

Draw = Callable[[np.random.Generator], np.ndarray]


class DiffusionLikelihood(Component, ABC):
    """log p(x) of what a denoiser samples.

    Attributes:
        bound: "lower" or "estimate".
        dequantisation: "uniform" where it is a density of points in the levels' bins, "none" where it gives the levels
            their mass and is handed their centres.
    """

    bound: Literal["lower", "estimate"]
    dequantisation: Literal["uniform", "none"] = "uniform"

    @abstractmethod
    def __call__(self, denoiser: Denoiser, x: Tensor, spec: DataSpec, *, seed: int = 0) -> Tensor:
        """Points x (B, *shape), see `dequantisation`, to log p(x) (B,) in nats; `seed` is added to its own."""


class FlowLikelihood(DiffusionLikelihood):
    """By the probability-flow equation, with Heun's method on Karras' grid of noise levels.

    Differentiable in x: where x asks for a gradient, the whole integration is kept for the way back.

    Arguments:
        steps: Points of the grid; 2 · (steps − 1) evaluations, each with a derivative.
        exact_dim: Up to how many dimensions the trace is taken exactly, a derivative for each.
        probes: Random probes of the trace above that.
        seed: Of the probes.
    """

    bound: Literal["lower", "estimate"] = "estimate"

    def __init__(
        self,
        steps: Annotated[int, Range(2, 100_000)] = 65,
        exact_dim: NonNegativeInt = 16,
        probes: Annotated[int, Range(1, 10_000)] = 1,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.steps, self.exact_dim, self.probes, self.seed = steps, exact_dim, probes, seed

    def __call__(self, denoiser: Denoiser, x: Tensor, spec: DataSpec, *, seed: int = 0) -> Tensor:
        times = KarrasGrid()(self.steps, denoiser.schedule).to(x).flip(0)
        angles = denoiser.schedule.level(times).atan()
        directions = self._directions(x, self.seed + seed)
        y, change = x * angles[0].cos(), x.new_zeros(len(x))
        for (t, angle), (s, next_angle) in pairwise(zip(times, angles, strict=True)):
            h = next_angle - angle
            v, div = self._field(denoiser, y, t, angle, directions)
            v_next, div_next = self._field(denoiser, y + h * v, s, next_angle, directions)
            y, change = y + h / 2 * (v + v_next), change + h / 2 * (div + div_next)
        dim, sine = x[0].numel(), angles[-1].sin()
        prior = -0.5 * (y / sine).square().flatten(1).sum(1) - dim * (sine.log() + 0.5 * math.log(2 * math.pi))
        return prior + change + dim * angles[0].cos().log()

    def _directions(self, x: Tensor, seed: int) -> Tensor:
        """(K, B, *shape): the unit vectors where the trace is exact, else signs scaled to a mean over the probes."""
        dim = x[0].numel()
        if dim <= self.exact_dim:
            unit = torch.eye(dim, dtype=x.dtype, device=x.device).reshape(dim, 1, *x.shape[1:])
            return unit.expand(dim, *x.shape)
        shape = (self.probes, *x.shape[1:])
        signs = drawn(x, seed, lambda g: g.integers(0, 2, shape).astype(np.float32) * 2 - 1)
        return signs.transpose(0, 1) / self.probes**0.5

    def _field(
        self, denoiser: Denoiser, y: Tensor, t: Tensor, angle: Tensor, directions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """v (B, *shape) and ∇·v (B,) at one time."""
        alpha, _ = denoiser.schedule(t)
        kept = torch.is_grad_enabled() and y.requires_grad
        with torch.enable_grad():
            y = y if kept else y.detach().requires_grad_()
            mean = denoiser(y * (alpha / angle.cos()), t.expand(len(y)))
            rows = [
                torch.autograd.grad(mean, y, direction, retain_graph=True, create_graph=kept)[0]
                for direction in directions
            ]
        trace = torch.stack([(row * e).flatten(1).sum(1) for row, e in zip(rows, directions, strict=True)]).sum(0)
        velocity = (angle.cos() * y - mean) / angle.sin()
        return velocity if kept else velocity.detach(), (angle.cos() * y[0].numel() - trace) / angle.sin()


class VariationalBound(DiffusionLikelihood):
    """The bound of a chain of `steps` equal steps of log-snr, every term of it, each with one draw of noise.

    Data with levels is scored by p(x | x_0) over them, its mass spread evenly over the level's bin; other data by the
    normal density around x_0.

    Arguments:
        steps: T; as many evaluations.
        seed: Of the draws.
    """

    bound: Literal["lower", "estimate"] = "lower"
    dequantisation: Literal["uniform", "none"] = "none"

    def __init__(self, steps: Count = 1000, seed: NonNegativeInt = 0) -> None:
        self.steps, self.seed = steps, seed

    def __call__(self, denoiser: Denoiser, x: Tensor, spec: DataSpec, *, seed: int = 0) -> Tensor:
        centre = spec.centre(x)
        times = LogSNRGrid()(self.steps + 1, denoiser.schedule).to(x)
        shape = (self.steps + 1, *x.shape[1:])
        eps = drawn(centre, self.seed + seed, lambda g: g.standard_normal(shape, dtype=np.float32)).transpose(0, 1)
        nll = self._prior(denoiser, centre, times[0])
        for (t, s), noise in zip(pairwise(times), eps, strict=False):
            alpha, sigma = denoiser.schedule(t)
            mean, widening = denoiser.reverse(alpha * centre + sigma * noise, t.expand(len(x)))
            step = divergence((mean - centre).square(), widening, t, s, denoiser.schedule)
            nll = nll + step.flatten(1).sum(1)
        level = denoiser.schedule.level(times[-1])
        return self._decoded(centre + level * eps[-1], centre, level, spec) - nll

    @staticmethod
    def _prior(denoiser: Denoiser, x: Tensor, t: Tensor) -> Tensor:
        """KL(N(alpha x, sigma²) ‖ N(0, sigma²)) = |x|² / (2 σ²), since sampling starts at the same spread."""
        return x.square().flatten(1).sum(1) / (2 * denoiser.schedule.level(t) ** 2)

    @staticmethod
    def _decoded(noisy: Tensor, x: Tensor, level: Tensor, spec: DataSpec) -> Tensor:
        """log p(x | x̄_0) (B,) as a density."""
        distance = -((noisy - x) ** 2) / (2 * level**2)
        if not isinstance(spec.kind, Quantised):
            return (distance - level.log() - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)
        total = torch.full_like(x, -math.inf)
        for value in range(spec.kind.levels):  # one at a time: all at once would be `levels` copies of the batch
            centre = spec.scale(torch.tensor(value)).to(x)
            total = torch.logaddexp(total, -((noisy - centre) ** 2) / (2 * level**2))
        return (distance - total).flatten(1).sum(1) - x[0].numel() * math.log(spec.bin_width)


def divergence(error: Tensor, widening: Tensor, t: Tensor, s: Tensor, schedule: Schedule) -> Tensor:
    r"""KL of the reverse step from t to s from the true posterior, in nats for each value (B, *shape).

    .. math:: \tfrac12 \big(l + e^{-l} (1 + (snr_s - snr_t)\, |x - D|^2) - 1\big), \qquad
              l = 2 w \log(\sigma_t / \sigma_s)

    Arguments:
        error: |x − D|² (B, *shape).
        widening: w, by how much the reverse step is wider than the posterior, () or (B, *shape).
        t, s: Times, s ≤ t, of shapes that go with the error's.
        schedule: How noise was added.
    """
    (_, sigma_t), (_, sigma_s) = schedule(t), schedule(s)
    gain = schedule.level(s) ** -2 - schedule.level(t) ** -2
    log_ratio = 2 * widening * (sigma_t / sigma_s).log()
    return (log_ratio + torch.expm1(-log_ratio) + (-log_ratio).exp() * gain * error) / 2


def drawn(x: Tensor, seed: int, draw: Draw) -> Tensor:
    """`draw` for every row of x (B, *shape), from a generator that is a function of the seed and the row's values."""
    rows = []
    for row in x.detach().cpu().numpy():
        digest = hashlib.sha256(f"{seed}/".encode() + row.tobytes()).digest()
        rows.append(draw(np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))))
    return torch.from_numpy(np.stack(rows)).to(x)

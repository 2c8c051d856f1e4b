r"""The probability-flow equation solved to a tolerance, with a step of its own for every sample.

In the angle θ = arctan σ the scaled example y = cos θ · x̄ moves on an arc between data (θ = 0) and noise (θ = π/2),

.. math:: y = \cos\theta\, x + \sin\theta\, \epsilon, \qquad
          \frac{dy}{d\theta} = v = \frac{\cos\theta\, y - D}{\sin\theta},

with a speed that stays of the size of the data everywhere and on every schedule, so one tolerance serves all.

A common solver library takes one step for the whole batch, by the batch's worst error: then a sample would depend on
its neighbours. Here each row is accepted, refused and stepped alone, in double precision around the network: near
θ = π/2 the noise level hangs on the last digits of θ.
"""

from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Range
from genkit.diffusion.denoiser import Denoiser, expand_to
from genkit.diffusion.sampler import Sampler
from genkit.errors import NumericalError

# Dormand & Prince 1980, a pair of orders 5 and 4: row i weighs the slopes of the stages before i; the last row is the
# solution of order 5, and the first slope of the next step is taken at it
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
Tolerance = Annotated[float, Range(1e-12, 1.0)]


class AdaptiveSampler(Sampler):
    """Dormand–Prince of order 5 with steps that keep the error of every sample within a tolerance.

    References: A family of embedded Runge-Kutta formulae (Dormand & Prince 1980); Song et al. 2020, 2011.13456.

    Arguments:
        denoiser: D(x_t, t).
        rtol, atol: The error of a step, as root mean square over a sample's values, is kept below atol + rtol |y|.
        max_steps: More are refused (NumericalError): the tolerance is finer than the network is smooth.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        rtol: Tolerance = 1e-3,
        atol: Tolerance = 1e-3,
        max_steps: Annotated[int, Range(1, 100_000)] = 1000,
    ) -> None:
        super().__init__(denoiser, steps=2)
        self.rtol, self.atol, self.max_steps = rtol, atol, max_steps

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        t, s = t.double(), s.double()
        (alpha, _), (alpha_s, _) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        angle, end = (self.denoiser.schedule.level(time).atan() for time in (t, s))
        self.dtype = x_t.dtype
        y = self._solved(x_t / alpha * angle.cos(), angle.expand(len(x_t)).clone(), end)
        return (alpha_s * y / end.cos()).to(x_t)

    def velocity(self, y: Tensor, angle: Tensor) -> Tensor:
        """dy/dθ at the angles (B,)."""
        t = self.denoiser.schedule.time(angle.tan())
        alpha, _ = self.denoiser.schedule(t)
        cos, sin = (expand_to(value, y) for value in (angle.cos(), angle.sin()))
        mean = self.denoiser((y * expand_to(alpha, y) / cos).to(self.dtype), t.to(self.dtype))
        return (cos * y - mean) / sin

    def _solved(self, y: Tensor, angle: Tensor, end: Tensor) -> Tensor:
        """y (B, *shape) at the angles (B,) to y at the angle `end`, shape ()."""
        step = (end - angle) / 20
        slope = self.velocity(y, angle)
        for _ in range(self.max_steps):
            open_ = angle > end
            if not open_.any():
                return y
            step = torch.maximum(step, end - angle)  # both negative: not beyond the end
            higher, last, size = self._tried(y, angle, step, slope)
            taken = open_ & (size <= 1)
            y = torch.where(expand_to(taken, y), higher, y)
            slope = torch.where(expand_to(taken, y), last, slope)
            # the last step takes all that remains: rounding could leave a rest that is never reached
            angle = torch.where(taken, torch.where(step <= end - angle, end, angle + step), angle)
            step = torch.where(open_, step * (0.9 * size.clamp(min=1e-10) ** -0.2).clamp(0.2, 5.0), step)
        raise NumericalError(
            f"{type(self).__name__}: {self.max_steps:,} steps do not reach the tolerance; raise sampler.rtol and atol"
        )

    def _tried(self, y: Tensor, angle: Tensor, step: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step of every row: y there, the slope there, and its error (B,) in units of the tolerance."""
        h, slopes, there = expand_to(step, y), [slope], y
        for weights in STAGES:
            there = y + h * sum(w * k for w, k in zip(weights, slopes, strict=True))
            share = sum(weights)
            slopes.append(self.velocity(there, angle + share * step))
        error = h * sum(w * k for w, k in zip(ERROR, slopes, strict=True))
        scale = self.atol + self.rtol * torch.maximum(y.abs(), there.abs())
        return there, slopes[-1], (error / scale).square().flatten(1).mean(1).sqrt()

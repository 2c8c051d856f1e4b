r"""Continuous flow: the bijection is the flow of an ordinary differential equation.

.. math:: \frac{dh}{dt} = v(h, t; y), \quad h_0 = x, \; h_1 = z, \qquad
          \log |\det \partial z / \partial x| = \int_0^1 \mathrm{tr}\, \partial v / \partial h \; dt.

Any network v will do: the equation run backwards is the inverse. Both integrals are taken by the classical
Runge-Kutta method of fourth order with a fixed number of steps h, so forward and inverse undo each other up to O(h⁴);
the model's `inverse_error` says how far.

The trace costs one directional derivative per dimension; above a few dimensions one is taken in a random direction
instead, E[εᵀ (∂v/∂h) ε] with independent signs ε (Hutchinson), the same for all of one trajectory. The estimate is
drawn at each step of training; in evaluation ε is a function of the seed, so that a score is one of (seed, example).

References:
    Neural ordinary differential equations (Chen, Rubanova, Bettencourt, Duvenaud, 2018), arXiv:1806.07366.
    FFJORD: Free-form continuous dynamics (Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud, 2018), arXiv:1810.01367.
    How to train your neural ODE (Finlay, Jacobsen, Nurbekyan, Oberman, 2020), arXiv:2002.02798.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from genkit.batch_noise import signs_like
from genkit.flows.coupling import GAIN
from genkit.flows.transform import Transform
from genkit.nn.backbone import Backbone, Differentiates
from genkit.noise import generator_of

State = tuple[Tensor, ...]
Slope = Callable[[float, State], State]


def runge_kutta(slope: Slope, state: State, start: float, end: float, steps: int) -> State:
    """The state at `end` of d state/dt = slope(t, state), from `state` at `start`."""
    h = (end - start) / steps
    for step in range(steps):
        t = start + step * h
        k1 = slope(t, state)
        k2 = slope(t + h / 2, _along(state, k1, h / 2))
        k3 = slope(t + h / 2, _along(state, k2, h / 2))
        k4 = slope(t + h, _along(state, k3, h))
        mean = tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
        state = _along(state, mean, h)
    return state


def _along(state: State, slope: State, h: float) -> State:
    return tuple(a + h * b for a, b in zip(state, slope, strict=True))


class ContinuousFlow(Transform, Differentiates):
    """Vectors (B, D) along the velocity v = a net(h, t, y) from t = 0 to 1.

    Arguments:
        network: (B, D), times (B,) and labels to (B, D).
        dim: D.
        steps: Runge-Kutta steps.
        exact: Whether the trace is computed; else it is estimated.
        kinetic: λ, weight of the penalty ∫ |v|² dt / D: short, straight paths are cheap to integrate.
    """

    def __init__(self, network: Backbone, dim: int, *, steps: int, exact: bool = True, kinetic: float = 0.0) -> None:
        super().__init__()
        self.network, self.dim, self.steps, self.exact, self.kinetic = network, dim, steps, exact, kinetic
        self.gain = nn.Parameter(torch.full((dim,), GAIN))
        self.seed = 0
        self._penalty: Tensor | None = None

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        probes = self._probes(x)
        start = (x, x.new_zeros(len(x)), x.new_zeros(len(x)))
        z, log_abs_det, energy = runge_kutta(partial(self._slope, probes, y), start, 0.0, 1.0, self.steps)
        self._penalty = self.kinetic * energy.mean() / self.dim if self.training and self.kinetic else None
        return z, log_abs_det

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return runge_kutta(lambda t, state: (self._velocity(state[0], t, y),), (z,), 1.0, 0.0, self.steps)[0]

    def reseed(self, seed: int) -> None:
        self.seed = seed

    def penalty(self) -> Tensor | None:
        found, self._penalty = self._penalty, None
        return found

    def _velocity(self, h: Tensor, t: float, y: Tensor | None) -> Tensor:
        return self.gain * self.network(h, h.new_full((len(h),), t), y)

    def _slope(self, probes: list[Tensor], y: Tensor | None, t: float, state: State) -> State:
        """(v, tr ∂v/∂h, |v|²), the trace as Σ εᵀ (∂v/∂h) ε over the probes."""
        trace = torch.zeros_like(state[1])
        for probe in probes:
            v, change = torch.func.jvp(lambda h: self._velocity(h, t, y), (state[0],), (probe,))[:2]
            trace = trace + (probe * change).sum(1)
        return v, trace, v.square().sum(1)

    def _probes(self, x: Tensor) -> list[Tensor]:
        """Directions (B, D): the unit vectors, or one of random signs."""
        if self.exact:
            return [row.expand_as(x) for row in torch.eye(self.dim, dtype=x.dtype, device=x.device)]
        if self.training:
            return [signs_like(x)]
        signs = torch.randint(2, (self.dim,), generator=generator_of(self.seed, "probe", self.dim)) * 2 - 1
        return [signs.to(x).expand_as(x)]

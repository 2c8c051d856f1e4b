r"""MeanFlow: a network of the flow's average velocity over an interval, not only the instantaneous one.

On the straight path z_t = (1 − t) x + t ε with the velocity v = ε − x, the average velocity between s < t is

.. math:: u(z_t, s, t) = \frac{1}{t - s} \int_s^t v(z_\tau, \tau)\, d\tau, \qquad z_s = z_t - (t - s)\, u(z_t, s, t),

so one evaluation crosses any distance. Differentiated by t it obeys an identity without the integral,

.. math:: u(z_t, s, t) = v - (t - s) \frac{d}{dt} u(z_t, s, t), \qquad
          \frac{d}{dt} u = \partial_z u \cdot v + \partial_t u,

whose right side, taken as it is, is the target of the left. The v along which u is differentiated is either that of the
example and its noise, right on the average and noisy, or the network's own u(z_t, t, t); the identity is then a plain
regression of u + (t − s) du/dt on ε − x, which knows z_t alone.

References: Mean Flows for One-step Generative Modeling (Geng et al. 2025, 2505.13447); Improved Mean Flows (Geng et al.
2025, 2512.02012).

In this file: the denoiser, its objective, its sampler.
"""

from typing import Annotated

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from genkit.batch_noise import drawn, normal_like
from genkit.component import Component, PositiveFloat, Probability, Range
from genkit.diffusion.coupling import IndependentCoupling, NoiseCoupling
from genkit.diffusion.denoiser import Denoiser, Labelled, expand_to
from genkit.diffusion.objective import DenoisingObjective
from genkit.diffusion.parametrisation import NetworkDenoiser, VelocityDenoiser
from genkit.diffusion.sampler import Sampler, Steps
from genkit.diffusion.schedule import RectifiedSchedule
from genkit.diffusion.time_distribution import LogitNormalTimes, Times
from genkit.diffusion.time_grid import Grid
from genkit.errors import ConfigError


class AverageVelocityDenoiser(VelocityDenoiser, Component):
    """A network u(z, s, t) on the straight path; with s = t it is the velocity, and so a denoiser for any sampler.

    The network is given the times (t, t − s), (B, 2), and the z that other networks see: scaled to unit variance.

    Arguments: as `NetworkDenoiser`; the schedule must be a RectifiedSchedule.
    """

    def average(self, x_t: Tensor, t: Tensor, s: Tensor, y: Tensor | None = None) -> Tensor:
        """u (B, *shape) of x_t (B, *shape) between the times s ≤ t (B,) of the schedule."""
        (alpha, sigma), (_, sigma_s) = self.schedule(t), self.schedule(s)
        scale = (sigma**2 + (alpha * self.data_std) ** 2).sqrt()
        times = torch.stack((sigma, sigma - sigma_s), 1)  # sigma is the path's own time
        return self.backbone(x_t / expand_to(scale, x_t), times, y)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        _, sigma = self.schedule(t)
        return x_t - expand_to(sigma, x_t) * self.average(x_t, t, t, y)


class MeanFlowObjective(DenoisingObjective):
    r"""The identity of the average velocity, squared, with large errors held down:

    .. math:: \frac{\Delta^2}{\mathrm{sg}(\Delta^2 + c)^p}, \qquad \Delta^2 = \| u - \mathrm{sg}(\text{target}) \|^2

    Arguments:
        times: Distribution of both ends; None: logit-normal with mean −0.4.
        coupling: Of noise and examples; None: independent.
        share: Share of a batch with s < t; the rest learns the velocity, s = t.
        power: p; 0: the plain square.
        offset: c.
        own_velocity: Differentiate along the network's own velocity (Geng et al. 2025, 2512.02012): one more evaluation
            of the examples with s < t. False: along the example's, ε − x.
    """

    differentiates = True

    def __init__(
        self,
        times: Times | None = None,
        coupling: NoiseCoupling | None = None,
        share: Probability = 0.5,
        power: Annotated[float, Range(0.0, 2.0)] = 1.0,
        offset: PositiveFloat = 0.001,
        own_velocity: bool = False,
    ) -> None:
        self.own_velocity = own_velocity
        self.times, self.coupling = times or LogitNormalTimes(mean=-0.4), coupling or IndependentCoupling()
        self.share, self.power, self.offset = share, power, offset

    def check(self, denoiser: NetworkDenoiser) -> None:
        if not (isinstance(denoiser, AverageVelocityDenoiser) and isinstance(denoiser.schedule, RectifiedSchedule)):
            raise ConfigError("model.objective: MeanFlowObjective needs AverageVelocityDenoiser and schedule=rectified")

    def __call__(self, denoiser: NetworkDenoiser, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        assert isinstance(denoiser, AverageVelocityDenoiser)
        one, other = (self.times(len(x), denoiser.schedule, denoiser.data_std) for _ in range(2))
        t, s = torch.maximum(one, other), torch.minimum(one, other)
        rows = self._apart(len(x)).to(x.device, non_blocking=True)
        s = t.index_copy(0, rows, s[rows])
        eps = self.coupling(x, normal_like(x), y)
        alpha, sigma = (expand_to(value, x) for value in denoiser.schedule(t))
        x_t, target = alpha * x + sigma * eps, eps - x
        if len(rows):
            change = self._change_of(
                denoiser, x_t[rows], t[rows], s[rows], target[rows], None if y is None else y[rows]
            )
            _, sigma_s = denoiser.schedule(s[rows])
            target = target.index_add(0, rows, -expand_to(denoiser.schedule(t[rows])[1] - sigma_s, x) * change)
        error = (denoiser.average(x_t, t, s, y) - target).square().flatten(1).mean(1)
        return {"loss": (error / (error.detach() + self.offset) ** self.power).mean(), "error": error.detach().mean()}

    def _apart(self, n: int) -> Tensor:
        """Numbers of the examples with s < t among these n: the first of a batch, since its order is random.

        On the CPU, which then knows how many there are without asking the device.
        """
        cpu = torch.device("cpu")
        apart = drawn(lambda size, _: torch.arange(*size) < self.share * size[0], (n,), cpu)
        return torch.from_numpy(apart.numpy().nonzero()[0])

    @torch.no_grad()
    def _change_of(
        self,
        denoiser: AverageVelocityDenoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        velocity: Tensor,
        y: Tensor | None,
    ) -> Tensor:
        """du/dt (B, *shape) along the velocity that was chosen."""
        along = denoiser.average(x_t, t, t, y) if self.own_velocity else velocity
        return self._change(denoiser, x_t, t, s, along, y)

    @staticmethod
    @torch.no_grad()
    def _change(
        denoiser: AverageVelocityDenoiser, x_t: Tensor, t: Tensor, s: Tensor, velocity: Tensor, y: Tensor | None
    ) -> Tensor:
        """du/dt along the path (B, *shape), s held; forward differentiation asks for attention in plain mathematics."""
        length = denoiser.schedule(torch.ones_like(t))[1] - denoiser.schedule(torch.zeros_like(t))[1]
        with sdpa_kernel(SDPBackend.MATH):  # 1 / length: by the path's own time, which sigma is
            return torch.func.jvp(lambda x, t: denoiser.average(x, t, s, y), (x_t, t), (velocity, 1 / length))[1]


class MeanFlowSampler(Sampler):
    """Steps of the average velocity: one is enough, more correct it. Each is one evaluation.

    Arguments:
        denoiser: An AverageVelocityDenoiser, with its labels fixed or not; guidance has no average velocity.
        steps: Number of steps; with 1 from noise to data at once.
        grid: Where they end; None: equal steps of t.
    """

    def __init__(self, *, denoiser: Denoiser, steps: Steps = 1, grid: Grid | None = None) -> None:
        super().__init__(denoiser, steps, grid)
        labelled = denoiser if isinstance(denoiser, Labelled) else Labelled(denoiser, None)
        if not isinstance(labelled.denoiser, AverageVelocityDenoiser):
            raise ConfigError(
                "sampler=mean_flow needs a model=mean_flow without guidance: any other sampler takes guidance too"
            )
        self.network, self.y = labelled.denoiser, labelled.y

    def times(self, like: Tensor) -> Tensor:
        """(steps + 1,) times from 1 to 0: the last step needs no posterior mean."""
        return self.grid(self.steps + 1, self.denoiser.schedule).to(like)

    def mean(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t at t = 0, the path's end."""
        return x_t

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        (_, sigma), (_, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        return x_t - (sigma - sigma_s) * self.network.average(x_t, t.expand(len(x_t)), s.expand(len(x_t)), self.y)

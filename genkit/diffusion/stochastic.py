r"""Samplers that add noise at every step, and DDIM, which spans them and the deterministic one.

With σ = sigma / alpha and r = (σ_s / σ_t)², the posterior of a step given the clean example x is normal,

.. math:: q(x_s \mid x_t, x) = N\Big(\frac{\alpha_s}{\alpha_t} r\, x_t + \alpha_s (1 - r)\, x,\;
          \sigma_s^2 (1 - r)\Big),

and samplers substitute D(x_t, t) for x.
"""

from typing import Annotated

from torch import Tensor

from genkit.component import Probability, Range
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.sampler import Sampler, Steps
from genkit.diffusion.time_grid import Grid


class DDIMSampler(Sampler):
    r"""Non-Markovian steps with any amount of noise: 0 is the deterministic flow, 1 ancestral sampling.

    .. math:: x_s = \alpha_s D + \sqrt{\sigma_s^2 - \tau^2}\, \hat\epsilon + \tau z, \qquad
              \tau = \eta\, \sigma_s \sqrt{1 - r}, \quad \hat\epsilon = (x_t - \alpha_t D) / \sigma_t

    References: Denoising Diffusion Implicit Models (Song et al. 2020, 2010.02502).

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
        grid: Where they end; None: equal steps of t.
        eta: η.
    """

    def __init__(
        self, *, denoiser: Denoiser, steps: Steps = 50, grid: Grid | None = None, eta: Probability = 0.0
    ) -> None:
        super().__init__(denoiser, steps, grid)
        self.eta = eta

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        mean = self.mean(x_t, t)
        eps = (x_t - alpha_t * mean) / sigma_t
        if self.eta == 0:
            return alpha_s * mean + sigma_s * eps
        ratio = (sigma_s * alpha_t / (alpha_s * sigma_t)) ** 2
        tau = self.eta * sigma_s * (1 - ratio).sqrt()
        return alpha_s * mean + (sigma_s**2 - tau**2).sqrt() * eps + tau * self.fresh(x_t)


class AncestralSampler(Sampler):
    r"""DDPM: each step draws from q(x_s | x_t, x = D).

    The variance lies between that of the posterior and that of the forward step, sigma_t² (1 − r), right for data of no
    and of unit variance; it is interpolated in its logarithm, as far as the network says where that was learned.

    References: Ho et al. 2020, 2006.11239; Nichol & Dhariwal 2021, 2102.09672, equation 15.

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
        grid: Where they end; None: equal steps of t.
        widening: 0: the posterior's variance ("fixed small"), 1: the forward step's ("fixed large"); None: what the
            denoiser learned, else 0.
    """

    def __init__(
        self, *, denoiser: Denoiser, steps: Steps = 250, grid: Grid | None = None, widening: Probability | None = None
    ) -> None:
        super().__init__(denoiser, steps, grid)
        self.widening = widening

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        ratio = (sigma_s * alpha_t / (alpha_s * sigma_t)) ** 2
        clean, learned = self.denoiser.reverse(x_t, t.expand(len(x_t)))
        widening = learned if self.widening is None else self.widening
        mean = alpha_s / alpha_t * ratio * x_t + alpha_s * (1 - ratio) * clean
        scale = sigma_s * (sigma_t / sigma_s) ** widening
        return mean + scale * (1 - ratio).sqrt() * self.fresh(x_t)


class EulerMaruyamaSampler(Sampler):
    r"""Euler steps of a stochastic differential equation whose noise may be chosen, in the clock σ²:

    .. math:: \bar x_s = \bar x_t + \frac{1 + \kappa}{2} \frac{\sigma_t^2 - \sigma_s^2}{\sigma_t^2} (D - \bar x_t)
              + \sqrt{\kappa (\sigma_t^2 - \sigma_s^2)}\, z

    κ = 1 is the reverse of the noising process (the reverse diffusion sampler), κ = 0 the ordinary
    differential equation.

    References: Song et al. 2020, 2011.13456, appendices D and E; Karras et al. 2022, 2206.00364, equation 6.

    Arguments:
        denoiser: D(x_t, t).
        steps: Number of steps.
        grid: Where they end; None: equal steps of t.
        noise_scale: κ.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        steps: Steps = 250,
        grid: Grid | None = None,
        noise_scale: Annotated[float, Range(0.0, 4.0)] = 1.0,
    ) -> None:
        super().__init__(denoiser, steps, grid)
        self.noise_scale = noise_scale

    def step(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        high, low = (sigma_t / alpha_t) ** 2, (sigma_s / alpha_s) ** 2
        x = x_t / alpha_t
        x = x + (1 + self.noise_scale) / 2 * (1 - low / high) * (self.mean(x_t, t) - x)
        if self.noise_scale > 0:
            x = x + (self.noise_scale * (high - low)).sqrt() * self.fresh(x_t)
        return alpha_s * x

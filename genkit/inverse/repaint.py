r"""RePaint: inpainting by an unconditional sampler (Lugmayr et al. 2022, 2201.09865).

At every noise level what is known of x_s is replaced by the measured values with noise of that level, so that the rest
is denoised beside it. Done once, the rest never hears of the known part's future and seams are visible; so after every
`length` steps the noise of these steps is added again, `jumps` times in all, and they are repeated.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Range
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.sampler import SamplerFactory
from genkit.errors import ConfigError
from genkit.inverse.linear_task import Mask
from genkit.inverse.posterior_sampler import Observation, PosteriorSampler, RepeatedNoise, ancestral, begun
from genkit.noise import Noise


class RePaint(PosteriorSampler):
    """Replacement of what is known at each level, with jumps back.

    Arguments:
        denoiser: E[x | x_t].
        sampler: What integrates, a stochastic one; None takes ancestral steps.
        jumps: How often each stretch of steps is done.
        length: Steps of a stretch.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        sampler: SamplerFactory | None = None,
        jumps: Annotated[int, Range(1, 1000)] = 10,
        length: Annotated[int, Range(1, 1000)] = 10,
    ) -> None:
        self.denoiser, self.sampler, self.jumps, self.length = denoiser, sampler or ancestral, jumps, length

    def rows(self, k: int) -> int:
        return k

    def __call__(self, observation: Observation, k: int, noise: Noise) -> Tensor:
        """Raises ConfigError for a measurement that is no selection of values."""
        if not isinstance(observation.task, Mask):
            raise ConfigError("posterior=repaint: it replaces values that are known, and serves masks alone")
        each, drawn = observation.repeated(k), RepeatedNoise(noise, k)
        sampler = self.sampler(denoiser=self.denoiser)
        times, x_t = begun(sampler, each, drawn)
        for i, j in schedule_of(len(times), self.length, self.jumps):
            if j > i:
                x_t = self._replaced(sampler.step(x_t, times[i], times[j]), times[j], each, drawn)
            else:
                x_t = self._noised(x_t, times[i], times[j], drawn)
        return sampler.mean(x_t, times[-1]).unflatten(0, (-1, k))

    def _replaced(self, x_s: Tensor, s: Tensor, each: Observation, noise: Noise) -> Tensor:
        alpha, sigma = self.denoiser.schedule(s)
        known = alpha * each.v + sigma * noise(*each.task.in_shape).to(x_s)
        return torch.where(each.task.measured(each.v), known, x_s)

    def _noised(self, x_s: Tensor, s: Tensor, t: Tensor, noise: Noise) -> Tensor:
        """x at the higher level of t from x at that of s."""
        (alpha_s, sigma_s), (alpha_t, sigma_t) = self.denoiser.schedule(s), self.denoiser.schedule(t)
        added = ((sigma_t / alpha_t) ** 2 - (sigma_s / alpha_s) ** 2).clamp(min=0).sqrt()
        return alpha_t * (x_s / alpha_s + added * noise(*x_s.shape[1:]).to(x_s))


def schedule_of(count: int, length: int, jumps: int) -> Iterator[tuple[int, int]]:
    """Moves between the places of `count` times: down by one, or back up by a stretch of `length`."""
    for start in range(0, count - 1, length):
        end = min(start + length, count - 1)
        for jump in range(jumps):
            yield from ((i, i + 1) for i in range(start, end))
            if jump + 1 < jumps:
                yield end, start

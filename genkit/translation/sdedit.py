r"""SDEdit: an example is noised up to a level between none and all, and denoised from there (Meng et al. 2021,
2108.01073).

The noise hides what tells one domain from another before it hides the layout: what is denoised is an example of the
model's domain that shares with the input what the noise left. How much noise that is, the strength s, is the angle
between example and noise, the same for every schedule:

.. math:: x_t = \alpha_t\, x + \sigma_t\, \epsilon, \qquad \sigma_t / \alpha_t = \tan(s \pi / 2)

At 0 nothing is done. At 1 the noise is the schedule's highest and nothing of the example is added to it: the result is
the sample that the model draws from this noise.
"""

import math
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Range
from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.sampler import HeunSampler, Sampler, SamplerFactory
from genkit.noise import Noise
from genkit.translation.translator import Translator


class SDEdit(Translator):
    """Noise, then the model's own sampler from that level on.

    References: SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations (Meng et al. 2021,
    2108.01073).

    Arguments:
        denoiser: E[x | x_t] of the target domain.
        sampler: What denoises; None takes Heun's.
        strength: s, 0 for the input itself, 1 for a sample that knows nothing of it.
    """

    def __init__(
        self,
        *,
        denoiser: Denoiser,
        sampler: SamplerFactory | None = None,
        strength: Annotated[float, Range(0.0, 1.0)] = 0.6,
    ) -> None:
        self.denoiser, self.sampler, self.strength = denoiser, sampler or HeunSampler, strength

    @property
    def words(self) -> str:
        return f"at strength {self.strength:g}"

    def __call__(self, x: Tensor, noise: Noise) -> Tensor:
        if self.strength == 0:
            return x
        eps = noise(*x.shape[1:]).to(x)
        sampler = self.sampler(denoiser=self.denoiser)
        sampler.begin(noise)
        times = self.times(sampler, x)
        alpha, sigma = self.denoiser.schedule(times[0])
        x_t = sigma * eps if self.strength == 1 else alpha * x + sigma * eps
        for t, s in pairwise(times):
            x_t = sampler.step(x_t, t, s)
        return sampler.mean(x_t, times[-1])

    def times(self, sampler: Sampler, like: Tensor) -> Tensor:
        """The sampler's times below that of the strength, which is the first, (K,) falling to 0."""
        whole = sampler.times(like)
        if self.strength == 1:
            return whole
        level = torch.tensor(math.tan(self.strength * math.pi / 2), dtype=torch.float64)
        first = self.denoiser.schedule.time(level).to(whole)
        return torch.cat([first[None], whole[whole < first]])

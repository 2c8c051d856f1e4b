r"""The label under which a conditional denoiser explains an example best: a classifier for nothing.

.. math:: \hat y = \arg\min_y\; \sum_\sigma E_\epsilon\, \frac{\| D(x + \sigma \epsilon, y) - x \|^2}{\sigma^2}

The sum is what the label changes of a bound of −log p(x | y); the same noise for every label keeps its chance out of
the comparison.

References: Your Diffusion Model is Secretly a Zero-Shot Classifier (Li et al. 2023, 2303.16203).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genkit.diffusion.denoiser import Denoiser
from genkit.noise import Noise

STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of the noise, as those of SDEdit: shares of a right angle
REPEATS = 2  # draws of the noise at each


def likeliest_label(make: Callable[[Tensor], Denoiser], num_classes: int, x: Tensor, noise: Noise) -> Tensor:
    """The labels (B,) int64 of examples x (B, *shape).

    Args:
        make: From labels (B,) to the denoiser of B examples with these.
        num_classes: Number of labels.
        x: Model values.
        noise: A row for each example.
    """
    draws = [(strength, noise(*x.shape[1:]).to(x)) for strength in STRENGTHS for _ in range(REPEATS)]
    errors = []
    for label in range(num_classes):
        denoiser = make(torch.full((len(x),), label, device=x.device))
        errors.append(sum((_error(denoiser, x, strength, eps) for strength, eps in draws), x.new_zeros(len(x))))
    return torch.stack(errors, 1).argmin(1)


def _error(denoiser: Denoiser, x: Tensor, strength: float, eps: Tensor) -> Tensor:
    """(B,): the squared error of the posterior mean in units of the noise."""
    level = math.tan(strength * math.pi / 2)
    t = denoiser.schedule.time(torch.tensor(level, dtype=torch.float64, device=x.device)).to(x)
    alpha, sigma = denoiser.schedule(t)
    error = denoiser(alpha * x + sigma * eps, t.expand(len(x))) - x
    return error.square().flatten(1).sum(1) / level**2

r"""PixelCNN with a mixture of discretised logistics in place of a score for each level.

A level v of L stands at x_v = −1 + 2v/(L − 1), and a logistic distribution of mean μ and scale s gives it the mass
between the middles to its neighbours; the least and the greatest level have all that lies beyond them:

.. math:: P(v) = \sigma\Big(\frac{x_v + w - \mu}{s}\Big) - \sigma\Big(\frac{x_v - w - \mu}{s}\Big), \qquad
          w = \frac{1}{L - 1}

so that neighbours in value are neighbours in probability, with 3 numbers for each part of a mixture whatever L is. In
logarithms, and without cancellation,

.. math:: \log(\sigma(a) - \sigma(b)) = \log\sigma(a) + \log\sigma(-b) + \log(1 - e^{b-a})

The channels of a pixel share one choice of the part k. Within it the mean of a channel is linear in the channels before
it, μ_kc + Σ α_kcd x_d, and p(x_c | x_<c) has weights of its own, by what the parts gave to the channels before:

.. math:: p(x_c \mid x_{<c}) = \sum_k w_{kc}\, P_k(x_c \mid x_{<c}), \qquad
          w_{kc} \propto \pi_k \prod_{d<c} P_k(x_d \mid x_{<d})

which is exact. The body is that of a gated PixelCNN, of which the original differs by halving and doubling its images.

References: PixelCNN++ (Salimans, Karpathy, Chen, Kingma 2017, 1701.05517).
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.nn.pixel_cnn import CHANNELS, DROPOUT, FIRST_WINDOW, LAYERS, WINDOW, Kernel, PixelCNN
from genkit.nn.sequence_network import start_linear

MIXTURES = 5
BROAD = 0.4  # scale of the parts at first, which stand evenly in [−1, 1]
NARROW = 0.1  # least scale, in half bins: a level in the middle of a part has all of its mass but 9e-5


def log_mass(level: Tensor, mean: Tensor, log_scale: Tensor, count: int) -> Tensor:
    """log P(level) of discretised logistics, in nats.

    Args:
        level: 0 … count − 1, any shape that broadcasts with the others.
        mean, log_scale: μ and log s, where the levels stand on [−1, 1].
        count: L; of one level alone all the mass is its own.
    """
    w = 1 / max(count - 1, 1)
    centre = 2 * w * level - 1
    rate = torch.exp(-log_scale)
    below = F.logsigmoid((centre + w - mean) * rate)  # of being below the upper edge
    above = F.logsigmoid(-(centre - w - mean) * rate)  # of being above the lower one
    between = torch.log(-torch.expm1(-2 * w * rate))
    first, last = level == 0, level == count - 1
    zero = torch.zeros((), dtype=below.dtype, device=below.device)
    return torch.where(last, zero, below) + torch.where(first, zero, above) + torch.where(first | last, zero, between)


class PixelCNNPP(PixelCNN):
    """Gated PixelCNN whose scores are the log-probabilities of a mixture of discretised logistics.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Channels of each stack.
        depth: Gated layers.
        kernel: Rows and columns of a layer's window before those that come later are left out of it, odd.
        first_kernel: The same of the first layer.
        mixtures: K, parts of the mixture.
        dropout: Share that training drops of the layers' outputs.

    Raises:
        ConfigError: a window of an even size, or a first one of 1, which would see nothing.

    References: Salimans et al. 2017, 1701.05517.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        features: Width = CHANNELS,
        depth: Depth = LAYERS,
        kernel: Kernel = WINDOW,
        first_kernel: Annotated[int, Range(3, 63)] = FIRST_WINDOW,
        mixtures: Annotated[int, Range(1, 100)] = MIXTURES,
        dropout: Annotated[float, Range(0.0, 0.9)] = DROPOUT,
    ) -> None:
        self.mixtures = mixtures
        super().__init__(
            shape=shape,
            inputs=inputs,
            outputs=outputs,
            num_classes=num_classes,
            features=features,
            depth=depth,
            kernel=kernel,
            first_kernel=first_kernel,
            dropout=dropout,
        )

    def finish(self) -> None:
        """Make what reads the mixture off the features: weights, and means, log-scales and slopes of each channel."""
        C = self.channels
        self.sizes = [1, C, C, C * (C - 1) // 2]
        self.least = math.log(NARROW / max(self.outputs - 1, 1))
        self.hidden = nn.Linear(self.features, self.features)
        self.out = nn.Linear(self.features, self.mixtures * sum(self.sizes))
        start_linear(self.levels, self.inputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        means = torch.linspace(-1.0, 1.0, self.mixtures + 2)[1:-1, None].expand(-1, C)
        scales = torch.full((self.mixtures, C), BROAD).log()
        with torch.no_grad():
            bias = self.out.bias.view(self.mixtures, -1)
            bias[:, 1 : 1 + C], bias[:, 1 + C : 1 + 2 * C] = means, scales

    def scores(self, h: Tensor, levels: Tensor, embedded: Tensor) -> Tensor:
        weights, mean, log_scale, slopes = self._mixture(h)
        shares, means = self._conditional(weights, mean, log_scale, slopes, levels)
        c, every = levels.shape[-1], torch.arange(self.outputs, device=h.device)
        masses = log_mass(every, means[..., None], log_scale[..., c, None], self.outputs)  # (…, K, L)
        return (shares[..., None] + masses).logsumexp(-2)

    def token_log_prob(self, tokens: Tensor, targets: Tensor, y: Tensor | None = None) -> Tensor:
        """As that of the contract; the masses of other levels, which sum to one, are not computed."""
        grid, wanted = self.grid_of(tokens), self.grid_of(targets)
        mixture = self._mixture(self.features_of(self.embedded(grid), y))
        found = []
        for c in range(self.channels):
            shares, means = self._conditional(*mixture, grid[..., :c])
            level = wanted[..., c].clamp(min=0)[..., None]
            found.append((shares + log_mass(level, means, mixture[2][..., c], self.outputs)).logsumexp(-1))
        return torch.stack(found, dim=-1).flatten(1).masked_fill(targets < 0, 0.0)

    def _mixture(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (…, features) to log-weights (…, K), means and log-scales (…, K, C) and slopes (…, K, C(C−1)/2)."""
        raw = self.out(F.relu(self.hidden(F.relu(h))))
        raw = raw.to(self.out.weight.dtype).unflatten(-1, (self.mixtures, -1))  # bfloat16 has too few digits for tails
        weight, mean, log_scale, slopes = raw.split(self.sizes, dim=-1)
        return weight[..., 0].log_softmax(-1), mean, log_scale.clamp(min=self.least), torch.tanh(slopes)

    def _conditional(
        self, weights: Tensor, mean: Tensor, log_scale: Tensor, slopes: Tensor, before: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log-weights and means (…, K) of channel c, given the levels (…, c) of those before it."""
        c = before.shape[-1]
        for d in range(c):
            means = self._mean(mean, slopes, before[..., :d])
            weights = weights + log_mass(before[..., d, None], means, log_scale[..., d], self.outputs)
        return weights.log_softmax(-1), self._mean(mean, slopes, before)

    def _mean(self, mean: Tensor, slopes: Tensor, before: Tensor) -> Tensor:
        c = before.shape[-1]
        x = 2 * before.to(mean.dtype) / max(self.outputs - 1, 1) - 1
        first = c * (c - 1) // 2
        return mean[..., c] + (slopes[..., first : first + c] * x[..., None, :]).sum(-1)

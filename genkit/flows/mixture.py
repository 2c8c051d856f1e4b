r"""The distribution function of a logistic mixture as a map of single values (Flow++; a mixture model inside a flow).

.. math:: F(x) = \sum_k π_k\, S((x - μ_k) / s_k), \qquad g(x) = \mathrm{logit}\, F(x),

with S the logistic function. Everything is computed from log S, so that nothing is lost in the tails, where g is a
line. g′ = f / (F (1 − F)) with f the mixture's density: one layer of it, autoregressive, holds as many modes per value
as it has components, which is what the masked autoregressive flow takes for its base ("MAF MoG").

g⁻¹ has no closed form. Each component alone would put z at μ_k + s_k z, and the answer lies between the least and the
greatest of these: it is found by halving that interval.

References:
    Flow++: Improving flow-based generative models with variational dequantization and architecture design
    (Ho, Chen, Srinivas, Duan, Abbeel, 2019), arXiv:1902.00275.
    Masked autoregressive flow (Papamakarios, Pavlakou, Murray, 2017), arXiv:1705.07057.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.component import NonNegativeFloat, PositiveFloat, Width
from genkit.flows.coupling import Elementwise

HALVINGS = 40  # beyond float32's 24 bits: the interval may be much wider than its answer


class _Mixture(NamedTuple):
    """log π, μ, log s, each (B, C, K, …)."""

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    def log_tails(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(log F, log (1 − F)) at x (B, C, …)."""
        a = (x.unsqueeze(2) - self.means) * (-self.log_scales).exp()
        below, above = self.log_weights + F.logsigmoid(a), self.log_weights + F.logsigmoid(-a)
        return torch.logsumexp(below, 2), torch.logsumexp(above, 2)

    def log_density(self, x: Tensor) -> Tensor:
        a = (x.unsqueeze(2) - self.means) * (-self.log_scales).exp()
        return torch.logsumexp(self.log_weights + F.logsigmoid(a) + F.logsigmoid(-a) - self.log_scales, 2)


class LogisticMixture(Elementwise):
    """g = logit F with K components; P = 3K parameters per value. The identity at θ = 0 only without a spread.

    Arguments:
        components: K.
        max_log_scale: m; every log s stays in (−m, m).
        spread: The components' means at the start lie evenly in [−spread, spread]: equal ones would learn alike.
    """

    def __init__(
        self, components: Width = 8, max_log_scale: PositiveFloat = 5.0, spread: NonNegativeFloat = 1.5
    ) -> None:
        self.components, self.max_log_scale, self.spread = components, max_log_scale, spread
        self.num_parameters = 3 * components

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        mixture = self._mixture(theta)
        log_below, log_above = mixture.log_tails(x)
        return log_below - log_above, mixture.log_density(x) - log_below - log_above

    def inverse(self, z: Tensor, theta: Tensor) -> Tensor:
        mixture = self._mixture(theta)
        places = mixture.means + mixture.log_scales.exp() * z.unsqueeze(2)
        low, high = places.amin(2), places.amax(2)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            log_below, log_above = mixture.log_tails(middle)
            over = log_below - log_above > z
            low, high = low.where(over, middle), middle.where(over, high)
        return (low + high) / 2

    def _mixture(self, theta: Tensor) -> _Mixture:
        logits, means, free = theta.chunk(3, dim=2)
        bounded = self.max_log_scale * torch.tanh(free / self.max_log_scale)
        place = torch.arange(self.components, device=theta.device, dtype=theta.dtype) + 0.5
        start = self.spread * (2 * place / self.components - 1)
        return _Mixture(logits.log_softmax(2), means + start.view(-1, *[1] * (theta.dim() - 3)), bounded)

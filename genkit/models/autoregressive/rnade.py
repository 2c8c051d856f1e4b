r"""RNADE: real numbers one after the other, each from a mixture of normal distributions that those before it decide.

.. math:: p(x \mid y) = \prod_{i=1}^D \sum_{k=1}^K \pi_{ik}\, N(x_i; \mu_{ik}, \sigma_{ik}^2), \qquad
          (\pi_i, \mu_i, \sigma_i) = f_i(x_1, …, x_{i-1}, y)

The chain rule loses nothing, and a mixture comes as near to any density of one number as it has components, so the
log-density is exact and the family is general: eight islands in the plane are no harder than one. A masked perceptron
(MADE) gives all parameters in one pass, so a density costs one evaluation of it and a sample D; the original shares the
weights of D small networks instead, which costs as much and says less.

A sample is the inverse of the distribution function, x_i = F_i⁻¹(Φ(z_i)) for standard normal z_i, and not a component
that is chosen and then drawn from: it moves continuously with the noise and with the weights. F⁻¹ has no closed form.
Each component alone would put z at μ_k + σ_k z, and the answer lies between the least and the greatest of these: it is
found by halving that interval.

Values with levels are dequantised, values in a range are mapped to the line by a logit, and all are standardised by the
first batch (`genkit.flows`); the Jacobians are part of the density.

References:
    RNADE: The real-valued neural autoregressive density-estimator (Uria, Murray, Larochelle, 2013), arXiv:1306.0186.
    MADE: Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle, 2015), arXiv:1502.03509.
    Masked autoregressive flow (Papamakarios, Pavlakou, Murray, 2017), arXiv:1705.07057, where it is called MADE MoG.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from genkit.batch_noise import uniform_like
from genkit.component import Depth, Range, Width
from genkit.data.kinds import Modality, Quantised
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.distributions import bits_per_dim
from genkit.flows.linear import ActNorm
from genkit.flows.recipe import unbounded
from genkit.flows.transform import Chain
from genkit.models.autoregressive.beginning import check_beginning
from genkit.models.base import Bound, Completes, Conditional, Density, GenerativeModel, Noise, classes_of
from genkit.nn.masked_mlp import MaskedMLP

HALVINGS = 40  # beyond float32's 24 bits: the interval may be much wider than its answer
SPREAD = 2.0  # the components' means at the start lie evenly in [−2, 2]: equal ones would learn alike
MOST_LOG_SCALE = 6.0  # every log σ stays between −6 and 6
GAIN = 0.1  # of the network at the start: its own weights would bend the mixture, and zero would stop the gradient
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class ScalarMixture(NamedTuple):
    """log π, μ and log σ of mixtures of normal distributions of single values, each (…, K)."""

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """log Σ π_k N(x; μ_k, σ_k²) of values (…)."""
        z = (x[..., None] - self.means) * (-self.log_scales).exp()
        return torch.logsumexp(self.log_weights - self.log_scales - 0.5 * z.square(), -1) - HALF_LOG_TAU

    def quantile(self, z: Tensor) -> Tensor:
        """The x (…) with F(x) = Φ(z), by the tail that z is in: nothing is lost in the other's rounding."""
        places = self.means + self.log_scales.exp() * z[..., None]
        low, high = places.amin(-1), places.amax(-1)
        below = torch.where(z > 0, -1.0, 1.0)  # −1: by the upper tail
        wanted = torch.special.log_ndtr(-z.abs())
        rate = (-self.log_scales).exp() * below[..., None]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            tail = self.log_weights + torch.special.log_ndtr((middle[..., None] - self.means) * rate)
            over = (torch.logsumexp(tail, -1) > wanted) == (below > 0)
            low, high = low.where(over, middle), middle.where(over, high)
        return (low + high) / 2


class RNADE(GenerativeModel, Density, Conditional, Completes):
    """p(x | y) as a product of mixtures of normal distributions, one for each value given those before it.

    Arguments:
        spec: The data, vectors; the values are drawn in the order in which they stand.
        components: K, of each value's mixture.
        hidden_features: Width of the masked network; at least D of them give every degree one.
        depth: Its residual layers.
        octaves: Frequencies 2⁰, 2¹, … at which the waves of every value stand beside it, where there are at most eight
            values.
        conditional: Whether to use the data's labels.
    """

    bound: Bound = "exact"
    modalities: tuple[Modality, ...] = ("vector",)  # type: ignore[misc]

    def __init__(
        self,
        *,
        spec: DataSpec,
        components: Width = 32,
        hidden_features: Width = 64,
        depth: Depth = 2,
        octaves: Annotated[int, Range(0, 16)] = 3,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        self.standardise = Chain([*unbounded(spec), ActNorm(spec.dim)])
        self.network = MaskedMLP(spec.dim, 3 * components, self.num_classes, hidden_features, depth, octaves)
        place = (torch.arange(components) + 0.5) / components
        means, scales = SPREAD * (2 * place - 1), torch.full((components,), math.log(2 * SPREAD / components))
        start = torch.cat([torch.zeros(components), means, scales])
        self.bias = nn.Parameter(start.repeat(spec.dim, 1))
        self.gain = nn.Parameter(torch.full((spec.dim, 3 * components), GAIN))

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Standardise by the first batch."""
        x = self.spec.dequantise(batch["x"], uniform_like(batch["x"]))
        for layer in self.standardise.layers:
            layer.initialise(x)  # type: ignore[operator]
            x = layer(x)[0]

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Mean negative log-likelihood in nats, of dequantised values; "bits_per_dim" too where data has levels."""
        x = self.spec.dequantise(batch["x"], uniform_like(batch["x"]))
        nll = -self._log_prob(x, self.labels_of(batch)).mean()
        terms = {"loss": nll}
        if isinstance(kind := self.spec.kind, Quantised):
            terms["bits_per_dim"] = bits_per_dim(nll.detach(), self.spec.dim, kind.levels, kind.range)
        return terms

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x | y) in nats of points x, (B, D) to (B,); −inf outside a value range."""
        self.check_labels(y, len(x))
        log_prob = self._log_prob(x, y)
        if self.spec.value_range is None:
            return log_prob
        lo, hi = self.spec.value_range
        return log_prob.where(((x >= lo) & (x <= hi)).all(1), -torch.inf)

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> ScalarMixture:
        """The mixtures of all standardised values x (B, D), each given those before it: (B, D, K)."""
        logits, means, free = (self.bias + self.gain * self.network(x, y)).chunk(3, dim=2)
        return ScalarMixture(logits.log_softmax(2), means, MOST_LOG_SCALE * torch.tanh(free / MOST_LOG_SCALE))

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        z = noise(self.spec.dim)
        return self._continued(torch.zeros_like(z), torch.zeros_like(z, dtype=torch.bool), y, z)

    def complete(self, x: Tensor, known: Tensor, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """x where it is known, the rest drawn after it; what is known of an example is its beginning.

        Raises:
            ConfigError: what is known of an example is not its beginning, or labels are missing.
        """
        check_values(x, self.spec.shape, "complete", self.spec.kind)
        self.check_labels(y, len(x))
        known = known.expand(x.shape)
        check_beginning(known)
        found = self._continued(x, known, y, noise(self.spec.dim))
        return torch.where(known, x, found)

    def _log_prob(self, x: Tensor, y: Tensor | None) -> Tensor:
        h, log_abs_det = self.standardise(x)
        return self.conditionals(h, y).log_prob(h).sum(1) + log_abs_det

    def _continued(self, x: Tensor, known: Tensor, y: Tensor | None, z: Tensor) -> Tensor:
        """x (n, D) where it is known, the others by the standard normal z (n, D)."""
        h = self.standardise(x.nan_to_num())[0]
        h = torch.where(known, h, 0.0)
        for i in range(self.spec.dim):
            theta = self.conditionals(h, y)
            drawn = ScalarMixture(*(part[:, i] for part in theta)).quantile(z[:, i])
            place = torch.arange(self.spec.dim, device=h.device) == i
            h = torch.where(place & ~known, drawn[:, None], h)
        return self.spec.clip(self.standardise.inverse(h))

r"""Normalizing flow: an invertible network with an exact density.

.. math:: \log p(x \mid y) = \log p_Z(f(x; y)) + \log |\det \partial f / \partial x|, \qquad
          \mathrm{loss} = -\log p(x + (u - \tfrac12)\, w), \quad u \sim U[0, 1)^D,

where w is the width of a grey level (uniform dequantisation, Theis et al. 2015, arXiv:1511.01844); continuous data is
taken as it is. Samples are f⁻¹(z), z from the prior. Which layers f has and what its latents follow is the recipe's to
say (`genkit.flows.recipe`); the place of a value in its grey level may be learned (`genkit.flows.dequantisation`).

References:
    Variational inference with normalizing flows (Rezende, Mohamed, 2015), arXiv:1505.05770.
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
    Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019), arXiv:1906.04032.
"""

from contextlib import ExitStack
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from genkit.batch_noise import uniform_like
from genkit.component import AtSampling, NonNegativeFloat
from genkit.data.kinds import Modality, Quantised
from genkit.data.spec import Batch, DataSpec
from genkit.distributions import bits_per_dim
from genkit.flows.dequantisation import DequantisationFactory
from genkit.flows.recipe import Recipe
from genkit.flows.transform import Transform, is_exact
from genkit.models.base import Bound, Conditional, GenerativeModel, MonteCarlo, Noise, classes_of
from genkit.models.invertible import Invertible
from genkit.models.latent_variable import StandardLatent

CHECKED = 16  # examples of a validation batch whose way there and back is measured: an inverse may cost D passes


class Flow(GenerativeModel, MonteCarlo, StandardLatent, Invertible, Conditional):
    """A bijection between data and latents of a known distribution.

    Its log-density is exact, an estimate where a layer estimates its log-determinant, a bound where the
    dequantisation is learned.

    Arguments:
        transform: The recipe of the layers.
        dequantisation: Where in its level a value is put; None: anywhere alike.
        conditional: Whether the layers read the label.
        temperature: τ, scale of the noise in sampling; below 1 draws likelier, less diverse samples.
        spec: The data.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        transform: Recipe,
        dequantisation: DequantisationFactory | None = None,
        conditional: bool = False,
        temperature: Annotated[NonNegativeFloat, AtSampling("below 1 draws likelier, less diverse samples")] = 1.0,
    ) -> None:
        """Raises ConfigError for data that the recipe cannot serve."""
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        self.temperature = temperature
        self.transform, self.prior = transform.make(spec, self.num_classes)
        self.moved: Transform | None = None
        if dequantisation is not None:
            self.moved, self.dequantisation = dequantisation(spec=spec, num_classes=self.num_classes), "variational"

    @property
    def bound(self) -> Bound:  # type: ignore[override]
        if not is_exact(self.transform):
            return "estimate"
        return "exact" if self.moved is None else "lower"

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Each layer, in the order in which data passes them, is fitted to what those before it make of the batch."""
        x, y = batch["x"], self.labels_of(batch)
        with ExitStack() as hooks:
            for layer in self._layers():
                hooks.enter_context(layer.register_forward_pre_hook(_initialise))
            self._log_prob(self.spec.dequantise(x, uniform_like(x)), y)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Mean negative log-likelihood in nats, of dequantised values; "bits_per_dim" too where data has levels.

        In evaluation also "inverse_error", the largest |f⁻¹(f(x)) − x|: a flow whose inverse has gone bad still has a
        fine likelihood, and its samples are not of it.
        """
        x, y = self.training_points(batch["x"]), self.training_labels(batch)
        nll = -self._log_prob(x, y).mean()
        penalties = [found for layer in self._layers() if (found := layer.penalty()) is not None]
        terms = {"loss": nll + sum(penalties)}
        if isinstance(kind := self.spec.kind, Quantised):
            terms["bits_per_dim"] = bits_per_dim(nll.detach(), self.spec.dim, kind.levels, kind.range)
        if not self.training:
            terms["inverse_error"] = self._inverse_error(x[:CHECKED], None if y is None else y[:CHECKED])
        return terms

    def training_points(self, x: Tensor) -> Tensor:
        """The points whose density the loss is of, for examples x (B, *shape): anywhere in their bins."""
        return self.spec.dequantise(x, uniform_like(x))

    def training_labels(self, batch: Batch) -> Tensor | None:
        """The labels (B,) that the loss is given, None for an unconditional model."""
        return self.labels_of(batch)

    def log_prob(self, x: Tensor, y: Tensor | None = None, *, seed: int = 0) -> Tensor:
        """log p(x | y) in nats of points x, (B, *shape) to (B,); −inf outside a value range.

        `spec.scale(v)` of stored values are centres of bins, not the points that a score is of: see `nll`. The seed
        is that of the probes of layers that estimate their log-determinant.
        """
        self.check_labels(y, len(x))
        log_prob = self._log_prob(x, y, seed)
        if self.spec.value_range is None:
            return log_prob
        lo, hi = self.spec.value_range
        return log_prob.where(((x >= lo) & (x <= hi)).flatten(1).all(1), -torch.inf)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        z = self.prior.draw(noise(self.spec.dim), self.temperature)
        x = self.transform.inverse(z, y)
        return self.spec.clip(x)

    @property
    def latent_size(self) -> int:  # type: ignore[override]
        return self.spec.dim

    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """x of standard normal numbers z, which the prior's own latents are a function of."""
        return self.transform.inverse(self.prior.draw(z), y)

    def to_latent(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The standard normal numbers that `from_latent` makes x of."""
        return self.prior.noise_of(self.transform(x, y)[0])

    def _log_prob(self, x: Tensor, y: Tensor | None, seed: int = 0) -> Tensor:
        for layer in self._layers():
            layer.reseed(seed)
        moved = x.new_zeros(len(x))
        if self.moved is not None:
            x, moved = self.moved(x, y)
        z, log_abs_det = self.transform(x, y)
        return self.prior.log_prob(z) + log_abs_det + moved

    @torch.no_grad()
    def _inverse_error(self, x: Tensor, y: Tensor | None) -> Tensor:
        return (self.transform.inverse(self.transform(x, y)[0], y) - x).abs().max()

    def _layers(self) -> list[Transform]:
        return [module for module in self.modules() if isinstance(module, Transform)]


def _initialise(layer: Transform, inputs: tuple[Any, ...]) -> None:
    layer.initialise(inputs[0])


class VectorFlow(Flow):
    """A flow whose recipe serves vectors alone."""

    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)

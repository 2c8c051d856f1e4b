r"""Normalizing flow: an invertible network with an exact density.

.. math:: \log p(x \mid y) = \log p_Z(f(x; y)) + \log |\det \partial f / \partial x|, \qquad
          \mathrm{loss} = -\log p(x + (u - \tfrac12)\, w), \quad u \sim U[0, 1)^D,

where w is the width of a grey level (uniform dequantisation, Theis et al. 2015, arXiv:1511.01844); continuous data is
taken as it is. Samples are f⁻¹(z), z from the prior. On vectors f is a spline flow to a standard normal, on images a
multiscale spline flow of the box onto the box: see `genkit.flows.spline_flow`.

References:
    Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019), arXiv:1906.04032.
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
"""

from functools import partial
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Depth, NonNegativeFloat, PositiveFloat, Range, Width
from genkit.data.spec import Batch, DataSpec
from genkit.distributions import bits_per_dim
from genkit.errors import ConfigError, NumericalError
from genkit.flows.prior import Prior, StandardNormal, UniformBox
from genkit.flows.spline import RationalQuadratic
from genkit.flows.spline_flow import image_flow, vector_flow
from genkit.flows.transform import Chain, Rescale, Transform, first_non_finite
from genkit.models.base import Bound, Conditional, Density, GenerativeModel, Noise, classes_of
from genkit.nn.backbone import BackboneFactory
from genkit.nn.mlp import MLP
from genkit.nn.residual_conv import ResidualConv


class Flow(GenerativeModel, Density, Conditional):
    """Spline coupling flow for vectors, multiscale spline coupling flow for images.

    Arguments:
        backbone: Network of the couplings on the data's own shape; None: a residual MLP on vectors, a residual
            convolutional network on images.
        conditional: Whether the couplings read the label.
        layers: Vectors only: couplings.
        levels: Images only: how often the image is halved, at most; all but the first halving leave at least 4x4.
        bins: K, pieces of each spline.
        tail_bound: Vectors only: the splines act on standardised values in [−tail_bound, tail_bound].
        hidden_features: Vectors only: width of the MLPs.
        hidden_channels: Images only: width of the convolutional networks.
        top_features: Images only: width of the masked MLP for the coarsest rest.
        depth: Residual layers of each network.
        temperature: τ, scale of the noise in sampling; below 1 draws likelier, less diverse samples.
        spec: The data.
    """

    bound: Bound = "exact"

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        conditional: bool = False,
        layers: Depth = 6,
        levels: Depth = 3,
        bins: Annotated[int, Range(2, 1024)] = 8,
        tail_bound: PositiveFloat = 4.0,
        hidden_features: Width = 64,
        hidden_channels: Width = 32,
        top_features: Width = 128,
        depth: Depth = 2,
        temperature: NonNegativeFloat = 1.0,
    ) -> None:
        """Raises ConfigError for modalities other than image and vector, images without a range or of an odd size."""
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        self.temperature = temperature
        self.prior: Prior
        self.transform: Transform
        if spec.modality == "vector":
            self.prior = StandardNormal()
            spline = RationalQuadratic(bins, tail_bound)
            self.transform = vector_flow(
                spec.dim,
                layers=layers,
                spline=spline,
                network=backbone or partial(MLP, width=hidden_features, depth=depth),
                num_classes=self.num_classes,
            )
            return
        if spec.value_range is None:
            raise ConfigError("the flow on images needs pixels with a value range: give the data spec a value_range")
        self.prior = UniformBox()
        pyramid = image_flow(
            spec.shape,
            levels=levels,
            spline=RationalQuadratic(bins, 1.0),
            network=backbone or partial(ResidualConv, width=hidden_channels, depth=depth),
            top_width=top_features,
            top_depth=depth,
            num_classes=self.num_classes,
        )
        self.transform = Chain([Rescale(*spec.value_range), pyramid])

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Mean negative log-likelihood in nats, of dequantised values; "bits_per_dim" too where data has levels.

        Raises:
            NumericalError: the likelihood is not finite; names the layer.
        """
        x, y = batch["x"], batch.get("y") if self.num_classes is not None else None
        x = self.spec.dequantise(x, torch.rand_like(x))
        nll = -self._log_prob(x, y).mean()
        if not torch.isfinite(nll):
            layer = first_non_finite(self.transform, x, y) or "prior"
            raise NumericalError(f"the flow diverged in {layer}: lower optimizer.lr or gradient clipping")
        terms = {"loss": nll}
        if self.spec.levels is not None and self.spec.value_range is not None:
            terms["bits_per_dim"] = bits_per_dim(nll.detach(), self.spec.dim, self.spec.levels, self.spec.value_range)
        return terms

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Exact log p(x | y) in nats, (B, *shape) to (B,); −inf for an image outside the value range."""
        self.check_labels(y)
        log_prob = self._log_prob(x, y)
        if isinstance(self.prior, StandardNormal) or self.spec.value_range is None:
            return log_prob
        lo, hi = self.spec.value_range
        return log_prob.where(((x >= lo) & (x <= hi)).flatten(1).all(1), -torch.inf)

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y)
        z = self.prior.draw(noise(self.spec.dim), self.temperature)
        x = self.transform.inverse(z, y)
        return self.spec.clip(x)

    def _log_prob(self, x: Tensor, y: Tensor | None) -> Tensor:
        z, log_abs_det = self.transform(x, y)
        return self.prior.log_prob(z) + log_abs_det

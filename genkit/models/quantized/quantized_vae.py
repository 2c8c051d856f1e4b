r"""Autoencoders with a discrete latent: features of x are quantised to T codes, and a prior learns what codes occur.

.. math:: \log p(x) \ge \log p(x \mid q(c)) + \log p(c), \qquad c = \mathrm{codes}(e(x)),

the evidence lower bound of a posterior that puts everything on one c. The loss is its negative plus what the quantiser
adds (commitment). The prior sees codes, which carry no gradient, so autoencoder and prior have disjoint parameters and
disjoint gradients: one phase trains both, exactly as two would, except that the prior follows codes that still move.
The codes settle as the rate falls, and a second phase would cost the autoencoder half of its steps.

The T codes are slices of one vector that the encoder makes, not places of a feature map: any backbone serves, on images
and on vectors, and on small images an MLP learns several times faster than convolutions.
"""

from typing import Annotated

import torch
from torch import Tensor

from genkit.component import AtSampling, Range, Width
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.models.base import (
    Conditional,
    Decoder,
    EncodedBound,
    Encoder,
    GenerativeModel,
    Noise,
    Reconstructor,
    classes_of,
)
from genkit.models.codes import Codes, NextSymbol, level_scores, values_of_symbols, without_levels
from genkit.models.default_likelihood import default_likelihood
from genkit.models.latent_size import default_latent_dim
from genkit.models.likelihood import LikelihoodFactory
from genkit.models.quantized.code_prior import CodePriorFactory, SequentialPrior, TransformerPrior
from genkit.models.quantized.quantizer import Quantized, Quantizer, VectorQuantizer, code_usage
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import quick_backbone


class QuantizedVAE(GenerativeModel, EncodedBound, Codes, Encoder, Decoder, Reconstructor, Conditional):
    """Autoencoder through T codes, with a prior of them.

    References: Neural Discrete Representation Learning (van den Oord et al. 2017, 1711.00937).

    Arguments:
        spec: The data.
        tokens: T, codes per example; None chooses by the data: 8, for 32x32 in colour 32.
        quantizer: Features to codes; None takes a `VectorQuantizer`.
        prior: p(c); None takes a `TransformerPrior`.
        backbone: Encoder and decoder; None takes an MLP for images of up to 1,024 values, otherwise what the data
            asks for.
        likelihood: p(x | c); None takes what the data asks for.
        conditional: Whether to use the data's labels.
        draw_pixels: Whether samples of data with levels are drawn from p(x | c) or are its mean.
        temperature: Of the codes' draws: 1 draws from the prior, below 1 nearer to its likeliest codes.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        tokens: Width | None = None,
        quantizer: Quantizer | None = None,
        prior: CodePriorFactory | None = None,
        backbone: BackboneFactory | None = None,
        likelihood: LikelihoodFactory | None = None,
        conditional: bool = False,
        draw_pixels: bool = False,
        temperature: Annotated[
            float, Range(0.01, 1e12), AtSampling("below 1 draws likelier, less diverse samples")
        ] = 1.0,
    ) -> None:
        super().__init__(spec)
        network = backbone or quick_backbone(spec.shape)
        tokens = tokens or default_latent_dim(spec) // 2
        self.tokens, self.temperature = tokens, temperature
        self.draws_x = draw_pixels or not spec.kind.has_mass
        self.num_classes = classes_of(spec, conditional)
        self.quantizer = quantizer or VectorQuantizer()
        self.latent_shape = latent = (tokens * self.quantizer.channels,)
        self.encoder = network(in_shape=spec.shape, out_shape=latent, num_classes=self.num_classes)
        self.decoder = network(in_shape=latent, out_shape=spec.shape, num_classes=self.num_classes)
        self.likelihood = (likelihood or default_likelihood)(spec=spec)
        self.dequantisation = self.likelihood.dequantisation
        self.prior = (prior or TransformerPrior)(
            num_codes=self.quantizer.num_codes, length=tokens, num_classes=self.num_classes
        )

    def quantize(self, x: Tensor, y: Tensor | None = None) -> Quantized:
        """Values (B, C, T), codes (B, T) and loss terms of data (B, *shape)."""
        return self.quantizer(self._features(x, y))

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        self.quantizer.initialise(self._features(batch["x"], self.labels_of(batch)))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        values, codes, added = self.quantize(x, y)
        reconstruction = -self.likelihood.log_prob(x, self.decoder(values.flatten(1), y=y)).mean()
        prior = -self.prior.log_prob(codes, y).mean()
        perplexity, used = code_usage(codes, self.quantizer.num_codes)
        loss = torch.stack([reconstruction, prior, *added.values()]).sum()
        terms = {"reconstruction": reconstruction, "prior": prior, **added}
        return {"loss": loss, **terms, "perplexity": perplexity, "codes_used": used}

    def encoded_log_prob(self, x: Tensor, centre: Tensor, y: Tensor | None) -> Tensor:
        self.check_labels(y, len(x))
        values, codes, _ = self.quantize(centre, y)
        return self.likelihood.log_prob(x, self.decoder(values.flatten(1), y=y)) + self.prior.log_prob(codes, y)

    def uncodable(self) -> str | None:
        if not isinstance(self.prior, SequentialPrior):
            return f"{type(self.prior).__name__} does not tell codes one after the other"
        return without_levels(self.spec, self.likelihood)

    def symbols_of(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes, and then the levels of all values: so x comes back exactly, at the price of the bound."""
        self.check_labels(y, len(x))
        codes = self.quantize(self.spec.centre(x), y).codes
        return torch.cat((codes, self.spec.unscale(x).flatten(1).long()), dim=1)

    def code(self, n: int, y: Tensor | None, next_symbol: NextSymbol) -> Tensor:
        self.check_labels(y, n)
        assert isinstance(self.prior, SequentialPrior)
        every = torch.ones(n, dtype=torch.bool)
        scores, state = self.prior.start(n, y)
        codes = [next_symbol(scores, every)]
        while len(codes) < self.tokens:
            scores, state = self.prior.step(codes[-1], state)
            codes.append(next_symbol(scores, every))
        weight = next(self.decoder.parameters())  # a quantiser of rounded numbers has none, whose type would tell
        values = self.quantizer.decode_codes(torch.stack(codes, dim=1).to(weight.device)).flatten(1)
        levels = level_scores(self.likelihood, self.decoder(values.to(weight), y=y))
        return values_of_symbols(torch.stack([next_symbol(each, every) for each in levels.unbind(1)], 1), self.spec)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The quantised values, (B, *shape) to (B, C T)."""
        check_values(x, self.spec.shape, "encode")
        self.check_labels(y, len(x))
        return self.quantize(x, y).values.flatten(1)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        check_values(z, self.latent_shape, "decode")
        self.check_labels(y, len(z))
        return self.likelihood.mean(self.decoder(z, y=y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y), y)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        codes = self.prior.sample(n, y=y, noise=noise, temperature=self.temperature)
        out = self.decoder(self.quantizer.decode_codes(codes).flatten(1), y=y)
        return self.likelihood.draw(out, noise(*self.spec.shape)) if self.draws_x else self.likelihood.mean(out)

    def _features(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Encode data (B, *shape), (B, C, T)."""
        return self.encoder(x, y=y).unflatten(1, (self.quantizer.channels, self.tokens))

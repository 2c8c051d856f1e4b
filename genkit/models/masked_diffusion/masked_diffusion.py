r"""Masked diffusion: hide tokens at random, and learn to find them.

Noise is a token of its own, MASK. At time t each place of x is hidden with probability t (the log-linear schedule,
α_t = 1 − t), so that nothing is left at t = 1. A network sees what remains, z_t, and gives a probability of each token
at each hidden place; what is seen stays as it is, and MASK is no token that it could give. Then

.. math:: -\log p(x) \le E_{t, z_t} \frac{1}{t} \sum_{i\,\text{hidden}} -\log p_\theta(x_i \mid z_t)

(Sahoo et al. 2024, 2406.07524; Shi et al. 2024, 2406.04329). The integral over t is a mean over orders: hidden places
that are found one by one, in an order drawn at random, meet the same conditionals, so the bound is also

.. math:: E_{\text{orders } \sigma} \sum_k -\log p_\theta(x_{\sigma_k} \mid x_{\sigma_1}, …, x_{\sigma_{k-1}})
          = T\, E_{m}\, E_{|M| = m} \frac1m \sum_{i \in M} -\log p_\theta(x_i \mid x_{\bar M}),

m uniform in 1 … T (Ou et al. 2024, 2406.03736), and no network needs to be told t. Here m = ⌈tT⌉ places are hidden at a
time t instead of each by a coin: the same mean, without the chance of how many there are. Times are stratified, over
the batch in training and over the draws of a likelihood.

Sampling goes the other way: an order is drawn, and in S steps the places are found, T/S of them at once, each as if it
were alone. With S = T samples are of the distribution that the bound speaks of; with fewer steps the places of one step
do not know of each other, and each place alone is likely, but not all of them together. Tokens are drawn by the inverse
of the distribution function in float64: in float32, the usual trick with Gumbel noise makes samples likelier than they
are (Zheng et al. 2024, 2409.02908).

Any part of an example may be known from the start, so the model completes whatever is given.

* Where sequences end with "eos" and are padded, scores are of documents alone (`documents.py`): pads after a known end
  are certain and cost nothing. Other specials are neither hidden nor drawn.
* An *image* or a *vector* with levels is a sequence too: its values row by row, the channels of a pixel together. P(v)
  is spread evenly over the bin of v, so that bits per dimension stand beside those of a flow.
* With `patch` the network reads a square of pixels as one place (`genkit.models.raster`). Each value is hidden and
  found by itself all the same: the bound and what may be known are as before, and attention has a p²-th of the places.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from genkit.batch_noise import stratified, uniform
from genkit.component import AtSampling, Count, PositiveInt, Range
from genkit.data.kinds import END, PAD, Categorical, Modality, Quantised
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.data.text.kind import Text
from genkit.distributions import draw_categorical
from genkit.errors import ConfigError
from genkit.models.base import (
    Bound,
    Completes,
    Conditional,
    GenerativeModel,
    MonteCarlo,
    Noise,
    Stepwise,
    classes_of,
)
from genkit.models.density import Dequantisation
from genkit.models.known_likelihood import KnownLikelihood
from genkit.models.masked_diffusion.documents import DocumentRows
from genkit.models.raster import folded_shape
from genkit.models.token_sampler import MinP, Temperature, TokenSampler, TopK, TopP
from genkit.models.token_values import TokenValues, numbers_of_tokens
from genkit.nn.bidirectional_network import BidirectionalNetworkFactory
from genkit.nn.bidirectional_transformer import BidirectionalTransformer
from genkit.noise import noise_of


class MaskedDiffusion(GenerativeModel, TokenValues, MonteCarlo, Conditional, Completes, KnownLikelihood, Stepwise):
    """p(x | y) by a network that finds hidden tokens.

    Arguments:
        spec: The data: tokens, or images and vectors with levels.
        network: The network; None takes a `BidirectionalTransformer`.
        conditional: Whether to use the data's labels.
        elbo_draws: Draws of the hidden places for each example of `log_prob`.
        steps: Steps of sampling, T at most, which is one place at a time.
        temperature: Of a token's draw; 0 takes the likeliest one.
        top_k: Draw among so many likeliest tokens; 0: all.
        top_p: Draw among the fewest that have this mass together; 1: all.
        min_p: Draw among those at least so many times as likely as the likeliest; 0: all.
        patch: Side p of the squares of an image that the network reads as one place; 1: every value is a place.

    Raises:
        ConfigError: labels that are not there, squares that do not cover the data, or training examples of several
            documents.
    """

    bound: Bound = "lower"
    dequantisation: Dequantisation = "none"
    modalities: tuple[Modality, ...] = ("sequence", "image", "vector")  # type: ignore[misc]
    kinds = (Categorical, Quantised)

    def __init__(
        self,
        *,
        spec: DataSpec,
        network: BidirectionalNetworkFactory | None = None,
        conditional: bool = False,
        elbo_draws: Count = 16,
        steps: Annotated[
            PositiveInt, AtSampling("of masked diffusion, in each of which a share of the tokens is found")
        ] = 64,
        temperature: Temperature = 1.0,
        top_k: TopK = 0,
        top_p: TopP = 1.0,
        min_p: MinP = 0.0,
        patch: Annotated[int, Range(1, 64)] = 1,
    ) -> None:
        super().__init__(spec)
        if isinstance(spec.kind, Text) and spec.kind.packed:
            raise ConfigError("masked diffusion models one document in an example: data.pack=false")
        self.num_classes = classes_of(spec, conditional)
        self.length, self.elbo_draws, self.steps, self.patch = spec.dim, elbo_draws, steps, patch
        self.sampler = TokenSampler(temperature, top_k, top_p, min_p)
        self.ordinary, number = numbers_of_tokens(spec)
        self.mask = count = self.ordinary + len(number)
        self.documents = DocumentRows(self.ordinary, number[END], number[PAD], self.mask) if END in number else None
        drawn = [END, PAD] if END in number else []
        self.given = [token for name, token in number.items() if name not in drawn]  # neither hidden nor drawn
        shape = folded_shape(spec.shape, patch)
        self.network = (network or BidirectionalTransformer)(
            shape=shape,
            inputs=count + 1,
            outputs=count,
            num_classes=self.num_classes,
            together=1 if patch == 1 else shape[0],
        )

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The bound for each of the T places, in nats, at one time for each example."""
        tokens = self.tokens_of(batch["x"])
        n, device = len(tokens), tokens.device
        hidden = self._hidden(tokens, stratified(n, device), uniform(n, self.length, device=device))
        return {"loss": -self._found(tokens, hidden, self.labels_of(batch)).mean() / self.length}

    def log_prob(self, x: Tensor, y: Tensor | None = None, *, seed: int = 0) -> Tensor:
        """The evidence lower bound in nats, averaged over `elbo_draws` draws of the hidden places.

        −∞ where the data has ends and x is no document.
        """
        mass = self.drawn_log_masses(x, y, self.elbo_draws, seed).mean(0)
        return mass - self.length * self.spec.kind.log_volume

    def drawn_log_masses(self, x: Tensor, y: Tensor | None = None, k: int = 16, seed: int = 0) -> Tensor:
        """k draws of the bound on log P(x), at times that are spread evenly, a function of (seed, x): (k, B) float64.

        Each alone has the bound as its mean. They are a little less alike than independent draws, so their standard
        deviation over √k is at least the standard error of their mean.
        """
        self.check_labels(y, len(x))
        tokens = self.tokens_of(x)
        drawn = torch.special.ndtr(noise_of(x, seed)(k, self.length + 1).double())  # (B, k, T + 1)
        times = (torch.arange(k, device=x.device) + drawn[:, :, -1]) / k
        found = [self._found(tokens, self._hidden(tokens, times[:, draw], drawn[:, draw, :-1]), y) for draw in range(k)]
        masses = torch.stack(found).double()
        return masses if self.documents is None else masses.where(self.documents.possible(tokens), -math.inf)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        hidden = torch.full((n, self.length), self.mask)
        return self.of_tokens(self._unmasked(hidden, y, noise))

    def complete(self, x: Tensor, known: Tensor, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """x where it is known, the rest drawn given that, in steps; any values may be known.

        Raises:
            ConfigError: what is known of an example is no part of a document, or labels are missing.
        """
        check_values(x, self.spec.shape, "complete", self.spec.kind)
        self.check_labels(y, len(x))
        known = known.expand(x.shape)
        tokens = self.tokens_of(x).where(self.in_order(known), self.mask)
        if self.documents is not None and not bool(self.documents.possible(tokens).all()):
            raise ConfigError("what is known is no part of a document: after its end all is padding")
        return torch.where(known, x, self.of_tokens(self._unmasked(tokens, y, noise)))

    def known_log_prob(self, x: Tensor, known: Tensor, y: Tensor | None = None) -> Tensor:
        """The bound for the known values, the others hidden throughout; all labels meet the same `elbo_draws` draws.

        What is known is found in an order drawn at random, as the whole of an example is in `log_prob`.
        """
        check_values(x, self.spec.shape, "known_log_prob", self.spec.kind)
        self.check_labels(y, len(x))
        known = known.expand(x.shape)
        places, x = self.in_order(known), torch.where(known, x, torch.zeros_like(x))
        tokens, k = self.tokens_of(x).where(places, self.mask), self.elbo_draws
        free = places & self._free(tokens)
        drawn = torch.special.ndtr(noise_of(x, 0)(k, self.length + 1).double())  # (B, k, T + 1)
        times = (torch.arange(k, device=x.device) + drawn[:, :, -1]) / k
        each = []
        for draw in range(k):
            hidden = self._hidden_of(free, times[:, draw], drawn[:, draw, :-1])
            log_prob = self.scores(tokens.where(~hidden, self.mask), y).log_softmax(2)
            found = log_prob.gather(2, tokens.clamp(max=log_prob.shape[2] - 1)[:, :, None])[:, :, 0]
            each.append(found.where(hidden, 0.0).double().sum(1) * free.sum(1) / hidden.sum(1).clamp(min=1))
        return torch.stack(each).mean(0)

    def scores(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        """Tokens (B, T), some hidden, to scores (B, T, K) of the tokens at hidden places; −∞ where one cannot be."""
        scores = self.network(tokens if self.documents is None else self.documents.closed(tokens), y)
        if self.given:
            scores = scores.index_fill(2, torch.tensor(self.given, device=scores.device), -math.inf)
        return scores if self.documents is None else self.documents.allowed(scores, tokens)

    def _hidden(self, tokens: Tensor, t: Tensor, u: Tensor) -> Tensor:
        """Hide ⌈tn⌉ of the n places of each example, t (B,) in [0, 1), those with the smallest u (B, T)."""
        return self._hidden_of(self._free(tokens), t, u)

    def _hidden_of(self, free: Tensor, t: Tensor, u: Tensor) -> Tensor:
        """As `_hidden`, of the places `free` (B, T)."""
        count = (t * free.sum(1)).floor() + 1
        rank = u.masked_fill(~free, math.inf).argsort(1).argsort(1)
        return free & (rank < count[:, None])

    def _free(self, tokens: Tensor) -> Tensor:
        """Bool (B, T): places that can be hidden."""
        free = torch.ones_like(tokens, dtype=torch.bool)
        for token in self.given:
            free &= tokens != token
        return free

    def _found(self, tokens: Tensor, hidden: Tensor, y: Tensor | None) -> Tensor:
        """A draw of the bound (B,): n/m of the log-probabilities of m hidden tokens, of n that can be."""
        log_prob = self.scores(tokens.where(~hidden, self.mask), y).log_softmax(2)
        each = log_prob.gather(2, tokens[:, :, None])[:, :, 0].masked_fill(~hidden, 0.0)
        return each.sum(1) * self._free(tokens).sum(1) / hidden.sum(1).clamp(min=1)

    def _unmasked(self, tokens: Tensor, y: Tensor | None, noise: Noise) -> Tensor:
        """Tokens (n, T) with the hidden ones drawn, in an order and by numbers that `noise` gives."""
        order, u = torch.special.ndtr(noise(2, self.length).double()).unbind(1)
        tokens = tokens.to(order.device)
        hidden = tokens == self.mask
        count = hidden.sum(1, keepdim=True)
        rank = order.masked_fill(~hidden, math.inf).argsort(1).argsort(1)
        steps = count.clamp(max=self.steps)
        turn = torch.where(hidden, rank * steps // count.clamp(min=1), -1)
        self.evaluations = 0
        for step in range(int(steps.max())):
            tokens = tokens if self.documents is None else self.documents.closed(tokens)
            now = (turn == step) & (tokens == self.mask)
            if not bool(now.any()):
                continue
            self.evaluations += 1
            drawn = draw_categorical(self.sampler(self.scores(tokens, y)[now]), u[now])
            tokens = tokens.masked_scatter(now, drawn)
            tokens = tokens if self.documents is None else self.documents.settled(tokens, now)
        return tokens

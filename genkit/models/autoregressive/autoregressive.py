r"""Autoregressive models: a sequence is as likely as its parts, one after the other.

.. math:: p(x) = \prod_{t=1}^T p(x_t \mid x_{<t}, y)

A causal network gives the scores of every token at once where all of them are known, which is how it is trained and
how a likelihood is exact; a sample is drawn token by token.

* A *sequence* of tokens ends with the special "eos", which is drawn and paid for as any token; "pad" fills the rest up
  and costs nothing. Neither "pad" nor another special is ever drawn, so that probabilities of documents add up to one.
  Packed rows of training data hold several sequences, each of which is given its own tokens alone.
* A sequence *longer than an example* of the training is drawn in windows: where one is full, the next begins with its
  second half. A recurrent network needs none, it carries its state on. The likelihood is that of what is so drawn.
* An *image* or a *vector* with levels is a sequence too: its values row by row, the channels of a pixel together, or
  squares of pixels row by row (`genkit.models.raster`). P(v) is spread evenly over the bin of v, so that
  bits per dimension stand beside those of a flow.

References: Bengio et al. 2003; Graves 2013, 1308.0850; Radford et al. 2019.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.component import AtSampling, Probability, Range
from genkit.data.kinds import END, PAD, Categorical, Modality, Quantised
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.data.text.kind import Text
from genkit.distributions import draw_categorical
from genkit.errors import ConfigError
from genkit.models.autoregressive.beginning import check_beginning
from genkit.models.autoregressive.label_guidance import LabelGuidance
from genkit.models.base import (
    Bound,
    Completes,
    Conditional,
    GenerativeModel,
    Growing,
    Noise,
    TokenDensity,
    classes_of,
)
from genkit.models.codes import Codes, NextSymbol
from genkit.models.density import Dequantisation
from genkit.models.known_likelihood import KnownLikelihood
from genkit.models.label_dropout import check_guidance, with_some_withheld
from genkit.models.raster import folded_shape
from genkit.models.token_sampler import MinP, Temperature, TokenSampler, TopK, TopP
from genkit.models.token_values import TokenValues, numbers_of_tokens
from genkit.nn.gpt import GPT
from genkit.nn.sequence_network import SequenceNetwork, SequenceNetworkFactory


class Autoregressive(
    GenerativeModel, TokenValues, TokenDensity, Codes, Conditional, Completes, KnownLikelihood, Growing
):
    """p(x | y) by a causal network.

    Arguments:
        spec: The data: tokens, or images and vectors with levels.
        network: The network; None takes a `GPT`.
        conditional: Whether to use the data's labels.
        temperature: Of a token's draw; 0 takes the likeliest one.
        top_k: Draw among so many likeliest tokens; 0: all.
        top_p: Draw among the fewest that have this mass together; 1: all.
        min_p: Draw among those at least so many times as likely as the likeliest; 0: all.
        label_dropout: Share of training examples shown without their label, so that guidance is possible.
        guidance_scale: Classifier-free guidance w in sampling a conditional model; 1 is none.
        patch: Side p of the squares of an image that are drawn one after the other, the values of each together; a
            network of images then has a p²-th of the places. 1: pixel by pixel.
        length: Tokens of a sample of tokens; None: as many as an example has.

    Raises:
        ConfigError: tokens with an end and no pad, squares that do not cover the data, labels that are not there, or a
            length of what is no sequence.
    """

    bound: Bound = "exact"
    dequantisation: Dequantisation = "none"
    modalities: tuple[Modality, ...] = ("sequence", "image", "vector")  # type: ignore[misc]
    kinds = (Categorical, Quantised)
    named_by = "network"

    def __init__(
        self,
        *,
        spec: DataSpec,
        network: SequenceNetworkFactory | None = None,
        conditional: bool = False,
        temperature: Temperature = 1.0,
        top_k: TopK = 0,
        top_p: TopP = 1.0,
        min_p: MinP = 0.0,
        label_dropout: Probability = 0.0,
        guidance_scale: Annotated[float, Range(0.0, 1e6), AtSampling("", key="guidance.scale")] = 1.0,
        patch: Annotated[int, Range(1, 64)] = 1,
        length: Annotated[
            Annotated[int, Range(1, 65_536)] | None, AtSampling("tokens of a sample, longer or shorter than an example")
        ] = None,
    ) -> None:
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        check_guidance(guidance_scale, self.num_classes, label_dropout)
        self.label_dropout, self.guidance_scale = label_dropout, guidance_scale
        if length is not None and spec.modality != "sequence":
            raise ConfigError(f"length={length}: {spec.modality} data has one size: leave it out")
        self.context, self.patch = spec.dim, patch
        self.length = length or spec.dim
        self.sampler = TokenSampler(temperature, top_k, top_p, min_p)
        self.ordinary, specials = numbers_of_tokens(spec)
        self.end, self.pad = specials.get(END), specials.get(PAD)
        self.packed = isinstance(spec.kind, Text) and spec.kind.packed
        self.network = (network or GPT)(
            shape=folded_shape(spec.shape, patch),
            inputs=self.ordinary + len(specials),
            outputs=self.ordinary + (self.end is not None),
            num_classes=self.num_classes if self.num_classes is None else self.num_classes + (label_dropout > 0),
        )
        self.spec = spec if length is None else replace(spec, shape=(length,))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """The mean of −log P(x_t | x_<t) over all T places, in nats; a pad costs nothing."""
        tokens, y = self.tokens_of(batch["x"]), self.labels_of(batch)
        if y is not None and self.num_classes is not None and self.label_dropout and self.training:
            y = with_some_withheld(y, self.num_classes, self.label_dropout)
        log_prob = self.packed_log_prob(tokens, y) if self.packed else self.token_log_prob(tokens, y)
        return {"loss": -log_prob.mean()}

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y, len(x))
        mass = self.token_log_prob(self.tokens_of(x), y).double().sum(1)
        return mass - self.length * self.spec.kind.log_volume

    def token_log_prob(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        targets, length = self._targets(tokens), tokens.shape[1]
        if length == self.context or self.network.endless:
            return self.network.token_log_prob(tokens, targets, y)
        windows = range(0, max(length - self.kept, 1), self.context - self.kept)
        rest = windows[-1] + self.context - length  # places of the last window after the end
        tokens, targets = F.pad(tokens, (0, rest)), F.pad(targets, (0, rest), value=-1)
        parts = []
        for first in windows:
            window = slice(first, first + self.context)
            found = self.network.token_log_prob(tokens[:, window], targets[:, window], y)
            parts.append(found[:, self.kept if first else 0 :])
        return torch.cat(parts, dim=1)[:, :length]

    def packed_log_prob(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        """As `token_log_prob`, of rows (B, T) that hold one sequence after the other, each up to its end."""
        if self.end is None or self.pad is None:  # one is all that a row can hold
            return self.token_log_prob(tokens, y)
        ended = tokens == self.end
        targets = torch.where(ended, self.ordinary, tokens).masked_fill(tokens == self.pad, -1)
        return self.network.packed_log_prob(tokens, targets, ended.cumsum(1) - ended.long(), y)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        nothing = torch.zeros(n, self.length, dtype=torch.int64)
        return self.of_tokens(self._continued(nothing, nothing.bool(), y, noise(self.length)))

    def complete(self, x: Tensor, known: Tensor, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """x where it is known, the rest drawn after it; what is known of an example is its beginning.

        Raises:
            ConfigError: what is known of an example is not its beginning, or labels are missing.
        """
        check_values(x, self.spec.shape, "complete", self.spec.kind)
        self.check_labels(y, len(x))
        tokens, places = self._beginning(x, known)
        found = self.of_tokens(self._continued(tokens, places, y, noise(self.length)))
        return torch.where(known.expand(x.shape), x, found)

    def known_log_prob(self, x: Tensor, known: Tensor, y: Tensor | None = None) -> Tensor:
        """Exact: the sum over the places of the beginning; raises ConfigError as `complete`."""
        check_values(x, self.spec.shape, "known_log_prob", self.spec.kind)
        self.check_labels(y, len(x))
        tokens, places = self._beginning(x, known)
        each = self.token_log_prob(tokens.where(places, 0), y).double()
        return torch.where(places, each, 0.0).sum(1)

    def _beginning(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens (B, T) of x and which are known; raises ConfigError where these are not the first."""
        tokens, places = self.tokens_of(x), self.in_order(known.expand(x.shape))
        check_beginning(places)
        return tokens, places

    def uncodable(self) -> str | None:
        same = self.length == self.context or self.network.endless
        return None if same else f"it was built with length={self.length}, and its network sees {self.context}"

    def symbols_of(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self._targets(self.tokens_of(x))

    def code(self, n: int, y: Tensor | None, next_symbol: NextSymbol) -> Tensor:
        self.check_labels(y, n)
        scores, state = self.network.start(n, y)
        going = torch.ones(n, dtype=torch.bool, device=scores.device)  # whose end has not come
        tokens: list[Tensor] = []
        while True:
            token = self._token(next_symbol(scores, going))
            if self.end is not None and self.pad is not None:
                token = torch.where(going, token, self.pad)
                going = going & (token != self.end)
            tokens.append(token)
            if len(tokens) == self.length:
                return self.of_tokens(torch.stack(tokens, dim=1))
            scores, state = self.network.step(token, state)

    @property
    def kept(self) -> int:
        """Tokens that the next window begins with, where a sequence is longer than the network sees."""
        return self.context // 2

    def _targets(self, tokens: Tensor) -> Tensor:
        """Numbers among the scores of tokens (B, T), −1 of what costs nothing: pads, and what follows the end."""
        if self.end is None:
            return tokens
        ended = tokens == self.end
        after = ended.cumsum(1) - ended.long() > 0
        return torch.where(ended, self.ordinary, tokens).masked_fill(after | (tokens == self.pad), -1)

    def _continued(self, tokens: Tensor, known: Tensor, y: Tensor | None, normal: Tensor) -> Tensor:
        """Tokens (n, T), those that are not known drawn by the place's number of `normal` (n, T); after an end, pad."""
        u, n = torch.special.ndtr(normal.double()), len(tokens)
        tokens, known = tokens.to(u.device).clone(), known.to(u.device)
        ended = torch.zeros(n, dtype=torch.bool, device=u.device)
        network = self._as_sampled()
        scores, state = network.start(n, y)
        seen = 0  # tokens in the window
        for t in range(self.length):
            token = torch.where(known[:, t], tokens[:, t], self._token(draw_categorical(self.sampler(scores), u[:, t])))
            if self.end is not None and self.pad is not None:
                token = torch.where(ended & ~known[:, t], self.pad, token)
                ended |= token == self.end
            tokens[:, t] = token
            if self.watcher is not None:
                self.watcher(tokens[:, : t + 1])
            if t + 1 == self.length:
                break
            if bool(ended.all()):
                tokens[:, t + 1 :] = torch.where(known[:, t + 1 :], tokens[:, t + 1 :], self.pad or 0)
                break
            seen += 1
            if seen < self.context or self.network.endless:
                scores, state = network.step(token, state)
                continue
            scores, state = network.start(n, y)
            for earlier in tokens[:, t + 1 - self.kept : t + 1].unbind(1):
                scores, state = network.step(earlier, state)
            seen = self.kept
        return tokens

    def _as_sampled(self) -> SequenceNetwork | LabelGuidance:
        """The network, guided where a scale other than 1 is asked for."""
        if self.guidance_scale == 1.0 or self.num_classes is None:
            return self.network
        return LabelGuidance(self.network, self.num_classes, self.guidance_scale)

    def _token(self, number: Tensor) -> Tensor:
        """Tokens of the numbers of scores."""
        return number if self.end is None else torch.where(number == self.ordinary, self.end, number)

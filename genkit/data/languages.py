r"""Small languages whose every text has a known probability: what the planar toys are for points.

A model of them is told by its distance from the truth alone: E[log p(x) − log q(x)] ≥ 0 nats, of which a text of T
tokens has T shares.

* Dyck words: k pairs of brackets that match, k uniform in 1 … K, each of the C_k words of k pairs alike,

  .. math:: \log p(x) = -\log K - \log C_k, \qquad C_k = \frac{1}{k+1}\binom{2k}{k};

* sums: "12+7=19" with a and b uniform in 0 … N − 1, log p(x) = −2 log N where the sum is right, −∞ elsewhere;
* a hidden Markov chain: a state that is not seen moves, and each state says a symbol. log p(x) by the forward algorithm
  (Rabiner 1989). Its order is infinite: no table of n-grams is it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from genkit.data.dataset import KnownDensity
from genkit.data.kinds import END, PAD, Categorical


class Language(KnownDensity, ABC):
    """A distribution of texts over a few symbols.

    Attributes:
        symbols: One for each token.
        length: T, tokens of the longest text, its end counted.
        ends: Whether texts differ in length, so that they end with "eos" and are padded.
    """

    symbols: Sequence[str]
    length: int
    ends: bool = True

    @property
    def kind(self) -> Categorical:
        """The kind of the tokens."""
        return Categorical(len(self.symbols), (END, PAD) if self.ends else (), tuple(self.symbols))

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n texts (n, T) int64, padded."""

    @abstractmethod
    def valid(self, x: Tensor) -> Tensor:
        """Tell of texts (B, T) which are of the language, (B,) bool."""

    def encoded(self, texts: Sequence[str]) -> Tensor:
        """Texts without their ends to tokens (n, T)."""
        kind = self.kind
        number = {symbol: token for token, symbol in enumerate(self.symbols)}
        rows = torch.full((len(texts), self.length), kind.special(PAD), dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            tokens = [number[symbol] for symbol in text]
            row[: len(tokens) + 1] = torch.tensor([*tokens, kind.special(END)])
        return rows

    def decoded(self, x: Tensor) -> list[str | None]:
        """Tokens (n, T) to texts, None of those that have no end or more than pads after it."""
        kind, found = self.kind, list[str | None]()
        for tokens in x.tolist():
            text, end, rest = "", kind.special(END), kind.special(PAD)
            size = tokens.index(end) if end in tokens else -1
            whole = size >= 0 and all(token == rest for token in tokens[size + 1 :])
            plain = whole and all(token < kind.vocabulary for token in tokens[:size])
            text = "".join(self.symbols[token] for token in tokens[:size]) if plain else ""
            found.append(text if plain else None)
        return found


class Dyck(Language):
    """Brackets that match.

    Args:
        pairs: K.
    """

    symbols = ("(", ")")

    def __init__(self, pairs: int = 8) -> None:
        self.pairs, self.length = pairs, 2 * pairs + 1

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        sizes = torch.randint(1, self.pairs + 1, (n,), generator=generator)
        draws = torch.rand(n, 2 * self.pairs, generator=generator, dtype=torch.float64)
        return self.encoded([self._word(int(k), u.tolist()) for k, u in zip(sizes, draws, strict=True)])

    def log_prob(self, x: Tensor) -> Tensor:
        sizes = (x < 2).sum(1) // 2
        logs = [-math.log(self.pairs) - math.log(catalan(k)) for k in range(self.pairs + 1)]
        return torch.tensor(logs, dtype=torch.float64)[sizes].where(self.valid(x), -math.inf)

    def valid(self, x: Tensor) -> Tensor:
        texts = self.decoded(x)
        return torch.tensor([text is not None and text != "" and _matches(text) for text in texts])

    @staticmethod
    def _word(k: int, u: Sequence[float]) -> str:
        """A uniform word of k pairs: an opening bracket by the share of the words that go on with one."""
        word, depth = "", 0
        for place, draw in enumerate(u[: 2 * k]):
            left = 2 * k - place
            opens = draw < _walks(left - 1, depth + 1) / _walks(left, depth)
            word, depth = word + ("(" if opens else ")"), depth + (1 if opens else -1)
        return word


class Sums(Language):
    """Two numbers and their sum.

    Args:
        numbers: N.
    """

    symbols = (*"0123456789", "+", "=")

    def __init__(self, numbers: int = 20) -> None:
        self.numbers = numbers
        self.length = len(self._text(numbers - 1, numbers - 1)) + 1

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        pairs = torch.randint(self.numbers, (n, 2), generator=generator).tolist()
        return self.encoded([self._text(a, b) for a, b in pairs])

    def log_prob(self, x: Tensor) -> Tensor:
        each = torch.full((len(x),), -2 * math.log(self.numbers), dtype=torch.float64)
        return each.where(self.valid(x), -math.inf)

    def valid(self, x: Tensor) -> Tensor:
        right = {self._text(a, b) for a in range(self.numbers) for b in range(self.numbers)}
        return torch.tensor([text in right for text in self.decoded(x)])

    @staticmethod
    def _text(a: int, b: int) -> str:
        return f"{a}+{b}={a + b}"


class HiddenMarkov(Language):
    """A chain of three states that mostly stay, each with symbols that it prefers.

    Args:
        length: T of every text.
    """

    symbols = ("a", "b", "c", "d")
    ends = False

    def __init__(self, length: int = 32) -> None:
        self.length = length
        self.start = torch.full((3,), 1 / 3, dtype=torch.float64)
        self.moves = torch.tensor([[0.8, 0.2, 0.0], [0.0, 0.8, 0.2], [0.2, 0.0, 0.8]], dtype=torch.float64)
        self.says = torch.tensor(
            [[0.7, 0.2, 0.1, 0.0], [0.0, 0.1, 0.6, 0.3], [0.1, 0.4, 0.0, 0.5]], dtype=torch.float64
        )

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        state = torch.multinomial(self.start, n, replacement=True, generator=generator)
        said = []
        for _ in range(self.length):
            said.append(torch.multinomial(self.says[state], 1, generator=generator)[:, 0])
            state = torch.multinomial(self.moves[state], 1, generator=generator)[:, 0]
        return torch.stack(said, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        total, belief = torch.zeros(len(x), dtype=torch.float64), self.start.expand(len(x), -1)
        for t in range(self.length):
            joint = belief * self.says[:, x[:, t]].T
            mass = joint.sum(1)
            total = total + mass.log()
            belief = joint / mass.clamp(min=torch.finfo(torch.float64).tiny)[:, None] @ self.moves
        return total

    def valid(self, x: Tensor) -> Tensor:
        return self.log_prob(x) > -math.inf


def catalan(k: int) -> int:
    """C_k, the number of Dyck words of k pairs."""
    return math.comb(2 * k, k) // (k + 1)


def _walks(steps: int, depth: int) -> int:
    """Ways to close `depth` open brackets in so many steps, never below zero (the ballot numbers)."""
    if depth < 0 or depth > steps or (steps - depth) % 2:
        return 0
    down = (steps + depth) // 2
    return math.comb(steps, down) - math.comb(steps, down + 1)


def _matches(text: str) -> bool:
    depth = 0
    for symbol in text:
        depth += 1 if symbol == "(" else -1
        if depth < 0:
            return False
    return depth == 0

r"""The shares of the usual n-grams of characters in a text: its spectrum as features.

.. math:: f_g(x) = \sqrt{\frac{\#\{g \text{ in } x\}}{\max(1, |x|)}}

for the n-grams g, n = 1 … N, that are the most frequent ones of the reference, |x| the characters of x. Their inner
product is a spectrum kernel (Leslie et al. 2002) of shares, whose root makes rare and frequent n-grams vary alike. So
every two-sample score serves text: a classifier, a discrepancy, neighbours. They see spelling, words and punctuation;
what is N characters apart they do not.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import torch
from torch import Tensor

from genkit.component import PositiveInt, Range
from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Ids
from genkit.errors import ConfigError
from genkit.features.base import FeatureExtractor, RealData

POINTS = 0x110000  # code points of Unicode
AT_ONCE = 4096  # examples that are counted together


class Ngrams(FeatureExtractor):
    """Roots of the shares of the reference's most frequent n-grams of characters.

    Args:
        n: N, the characters of the longest ones.
        count: How many n-grams, those of all lengths together; fewer where the reference has fewer.
    """

    modalities = ("sequence",)
    kinds = (Text,)
    name = "ngrams"
    normalize = "none"

    def __init__(self, n: Annotated[int, Range(1, 3)] = 3, count: PositiveInt = 256) -> None:
        self.n, self.count = n, count
        self.id = f"ngrams/{n}x{count}"
        self.known: list[Ids] = []  # codes of the n-grams of each length, in their order

    def accepts(self, spec: DataSpec) -> bool:
        return True

    def dim(self, spec: DataSpec) -> int:
        return sum(map(len, self.known)) or self.count

    def fitted(self, real: RealData) -> Self:
        """Raises ConfigError for a reference without text."""
        kind = real.spec.kind
        assert isinstance(kind, Text)
        texts = [text for chunk in real.reference.chunks(AT_ONCE) for text in kind.texts(chunk.x)]
        found = [np.unique(codes(texts, n)[0], return_counts=True) for n in range(1, self.n + 1)]
        counts = np.concatenate([count for _, count in found])
        if not len(counts):
            raise ConfigError("features=ngrams: the reference has no text")
        chosen = np.zeros(len(counts), bool)
        chosen[np.argsort(-counts, kind="stable")[: self.count]] = True
        edges = np.cumsum([len(code) for code, _ in found])[:-1]
        other = type(self)(self.n, self.count)
        other.known = [code[kept] for (code, _), kept in zip(found, np.split(chosen, edges), strict=True)]
        return other

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        if not self.known:
            raise ConfigError("n-grams are fitted on a reference first, see `fitted`")
        assert isinstance(spec.kind, Text)
        texts = spec.kind.texts(spec.unscale(x))
        sizes = np.maximum([len(text) for text in texts], 1)
        columns = [_counts(texts, n, known) for n, known in enumerate(self.known, 1)]
        return torch.from_numpy(np.sqrt(np.concatenate(columns, 1) / sizes[:, None]))


def codes(texts: list[str], n: int) -> tuple[Ids, Ids]:
    """(M,) numbers of all n-grams of texts, the same for the same one anywhere, and (M,) which text each is in."""
    sizes = np.array([len(text) for text in texts], np.int64)
    points = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), np.uint32).astype(np.int64)
    owner = np.repeat(np.arange(len(texts)), sizes)
    left = np.repeat(sizes.cumsum(), sizes) - np.arange(len(points))
    count = max(len(points) - n + 1, 0)
    code = np.zeros(count, np.int64)
    for place in range(n):
        code = code * POINTS + points[place : place + count]
    whole = left[:count] >= n
    return code[whole], owner[:count][whole]


def _counts(texts: list[str], n: int, known: Ids) -> np.ndarray:
    """(texts, known): how often each has each n-gram."""
    code, owner = codes(texts, n)
    place = np.searchsorted(known, code)
    hit = place < len(known)
    hit[hit] = known[place[hit]] == code[hit]
    flat = np.bincount(owner[hit] * len(known) + place[hit], minlength=len(texts) * len(known))
    return flat.reshape(len(texts), len(known)).astype(np.float64)

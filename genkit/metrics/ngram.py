r"""An n-gram model by counting, interpolated by Witten and Bell: what a likelihood of text has to beat.

Of a context h of n tokens that the training documents go on from c(h) times, with t(h) different tokens,

.. math:: P_n(w \mid h) = \frac{c(h w) + t(h) P_{n-1}(w \mid h')}{c(h) + t(h)},

where h' is h without its oldest token and P₋₁ is uniform. The more ways a context went on, the less is left to it. A
context that never occurred has the probabilities of the shorter one. Before a document stand as many signs of its start
as are needed, and its end is a token like any other, so the probabilities of all documents add up to one.

Sources: Witten and Bell 1991, "The zero-frequency problem"; Bell, Cleary and Witten 1990, "Text Compression"; Chen and
Goodman 1998.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from genkit.errors import ConfigError

Ids = NDArray[np.int64]
START = -1  # what stands before a document


def witten_bell(train: Sequence[Ids], test: Sequence[Ids], count: int, order: int) -> Iterator[NDArray[np.float64]]:
    """log P of each test token in nats, the documents one after the other: (M,) for each order 0 … `order`.

    Args:
        train, test: Documents, tokens in 0 … count − 1 with the end of each.
        count: Of different tokens, the end among them.
        order: The longest context, in tokens.

    Raises:
        ConfigError: no training document, or a token outside.
    """
    learned = sum(map(len, train))
    tokens = np.concatenate([*train, *test]) if learned else np.empty(0, np.int64)
    if not learned or tokens.min() < 0 or tokens.max() >= count:
        raise ConfigError(f"n-grams count tokens 0 … {count - 1} of one training document or more")
    place = np.concatenate([np.arange(len(document)) for document in (*train, *test)])
    context = np.zeros(len(tokens), np.int64)
    p = np.full(len(tokens) - learned, 1.0 / count)
    for n in range(order + 1):
        if n:
            older = np.full(len(tokens), START)
            older[n:] = tokens[:-n]
            older[place < n] = START
            context = _numbered(context, older - START)
        p = _interpolated(context, _numbered(context, tokens), learned, p)
        yield np.log(p)


def _interpolated(context: Ids, gram: Ids, learned: int, shorter: NDArray[np.float64]) -> NDArray[np.float64]:
    """P of the test tokens (M,) from the numbers of contexts and of contexts with their token, training ones first."""
    many = int(context.max()) + 1
    followed = np.bincount(context[:learned], minlength=many)
    occurred = np.bincount(gram[:learned], minlength=int(gram.max()) + 1)
    _, first = np.unique(gram[:learned], return_index=True)
    ways = np.bincount(context[first], minlength=many)
    c, t = followed[context[learned:]], ways[context[learned:]]
    return np.where(c > 0, (occurred[gram[learned:]] + t * shorter) / np.maximum(c + t, 1), shorter)


def _numbered(one: Ids, other: Ids) -> Ids:
    """Numbers of pairs: equal where both are."""
    return np.unique(one * (int(other.max()) + 1) + other, return_inverse=True)[1].astype(np.int64)

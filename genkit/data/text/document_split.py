"""Training, validation and test documents by their contents, each held-out split about a tenth of the text.

The hashes of all different documents are put in order. The first ones, until they come to a tenth of all bytes, are for
test, the next ones for validation; a document that is longer than a twentieth of all is for training. So equal
documents fall on one side, neither names nor the order of files matter, and documents of all lengths are held out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genkit.data.content_split import LARGEST, SHARE
from genkit.data.dataset import SplitName
from genkit.errors import DataError

HELD_OUT: tuple[SplitName, ...] = ("test", "val")


def split_documents(hashes: NDArray[np.void], sizes: Sequence[int], source: str) -> list[SplitName]:
    """The split of each document.

    Args:
        hashes: (D,) of the contents, comparable bytes.
        sizes: (D,) bytes of each.
        source: For messages.

    Raises:
        DataError: fewer than three different documents.
    """
    different, which = np.unique(hashes, return_inverse=True)
    if len(different) < 3:
        raise DataError(
            f"{source}: {len(different)} different of {len(hashes):,} documents, which cannot be divided into "
            "training, validation and test: give at least 3"
        )
    weights = np.bincount(which, weights=np.asarray(sizes, dtype=np.float64)).astype(np.float64)
    share = weights.sum() / SHARE
    names: list[SplitName] = ["train"] * len(different)
    left = list(range(len(different)))
    for name in HELD_OUT:
        taken = _reaching(left, weights, share) or [min(left, key=lambda i: weights[i])]
        for i in taken:
            names[i] = name
        chosen = set(taken)
        left = [i for i in left if i not in chosen]
    return [names[i] for i in which.tolist()]


def _reaching(left: Sequence[int], weights: NDArray[np.float64], share: float) -> list[int]:
    """The first documents that come closest to a share together, longer ones passed over; two of all are left."""
    taken: list[int] = []
    size = 0.0
    for i in left[:-2]:
        if weights[i] > share / 2:
            continue
        if size + weights[i] / 2 > share or len(taken) == LARGEST:
            break
        taken.append(i)
        size += weights[i]
    return taken

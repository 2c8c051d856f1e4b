"""Training, validation and test data by content: equal examples fall on one side, whatever they are called.

The hashes of all different contents are put in order; the first tenth of them is the test split, the next tenth the
validation split, at most LARGEST each and at least one. So the splits depend neither on names nor on the order of
files, a copy of a training example is never a test example, and of a source that grows few examples change sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genkit.data.dataset import SplitName
from genkit.errors import DataError

SHARE = 10  # one in so many
LARGEST = 10_000
NAMES: tuple[SplitName, ...] = ("train", "val", "test")


def split_of_each(hashes: NDArray[np.void], parts: Sequence[SplitName] | None, source: str) -> list[SplitName]:
    """The split of each example.

    Args:
        hashes: (N,) of the contents, comparable bytes.
        parts: The splits that the source itself has; what it lacks of validation and test is taken from training.
        source: For messages.

    Raises:
        DataError: too few different examples for three splits.
    """
    found: list[SplitName] = list(parts) if parts is not None else ["train"] * len(hashes)
    wanted: tuple[SplitName, ...] = ("test", "val")
    missing = [name for name in wanted if name not in found]
    train = np.array([name == "train" for name in found], dtype=bool)
    different, which = np.unique(hashes[train], return_inverse=True)
    if len(different) < 1 + len(missing):
        raise DataError(
            f"{source}: {len(different)} different examples to train on, which cannot be divided: give at least "
            f"{1 + len(missing)}"
        )
    share = max(1, min(len(different) // SHARE, LARGEST))
    numbers = train.nonzero()[0]
    for k, name in enumerate(missing):
        for i in numbers[(which >= k * share) & (which < (k + 1) * share)]:
            found[i] = name
    return found

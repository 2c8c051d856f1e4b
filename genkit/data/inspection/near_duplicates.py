r"""Near-duplicates between training and test images: the same picture in another size, crop or brightness.

Images are compared as thumbnails of at most SIDE x SIDE pixels, each with its mean taken off and scaled to length 1, so
that brightness and contrast do not count. How close two different pictures are depends on the data: handwritten ones
are all alike, photographs are not. So a distance alone says little, and the ratio test of Lowe (Distinctive Image
Features from Scale-Invariant Keypoints, 2004) is made: a test image is a near-duplicate where its nearest training
image is at most `ratio` times as far away as the one that comes NEXT places later,

    d₁ ≤ ratio · d₁₊ₙₑₓₜ .

An original stands out so; the next ones are merely similar. Up to NEXT copies of it may lie in the training data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genkit.data.split import Split

SIDE = 16  # pixels
NEXT = 5
AT_ONCE = 2**14  # test images whose neighbours are looked for in one pass over the training data
ROWS = 2**11  # training images that are compared with them together


@dataclass(frozen=True)
class NearDuplicate:
    """A test image and the training image that it resembles.

    Attributes:
        test, train: Their numbers in their splits.
        ratio: Of the distances to the nearest and to a later neighbour.
    """

    test: int
    train: int
    ratio: float


def near_duplicates(train: Split, test: Split, ratio: float) -> list[NearDuplicate]:
    """The near-duplicates in the test split, the closest first; none where there are too few training images."""
    if len(train) <= NEXT or ratio == 0:
        return []
    found = []
    for low in range(0, len(test), AT_ONCE):
        near, number = nearest(train, thumbnails(test.between(low, min(low + AT_ONCE, len(test))).x))
        ratios = near[:, 0] / near[:, -1].clamp_min(torch.finfo(near.dtype).tiny)
        for i in (ratios <= ratio).nonzero().flatten().tolist():
            found.append(NearDuplicate(low + i, int(number[i, 0]), float(ratios[i])))
    return sorted(found, key=lambda pair: (pair.ratio, pair.test))


def nearest(train: Split, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distances and numbers (n, 1 + NEXT) of the training images nearest to rows (n, D) of thumbnails."""
    similar = torch.empty(len(rows), 0)
    number = torch.empty(len(rows), 0, dtype=torch.int64)
    for low, others in _chunks(train):
        values, places = (rows @ others.T).topk(min(1 + NEXT, len(others)), dim=1)
        similar, number = torch.cat([similar, values], 1), torch.cat([number, places + low], 1)
        similar, order = similar.topk(min(1 + NEXT, similar.shape[1]), dim=1)
        number = number.gather(1, order)
    return (2 - 2 * similar).clamp_min(0).sqrt(), number


def thumbnails(x: Tensor) -> Tensor:
    """Stored images (n, C, H, W) as rows (n, D) of mean 0 and length 1; of a flat image 0."""
    height, width = (min(SIDE, side) for side in x.shape[2:])
    small = interpolate(x.to(torch.float32), size=(height, width), mode="area").flatten(1)
    small = small - small.mean(1, keepdim=True)
    length = small.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-3, small / length.clamp_min(1e-3), torch.zeros(()))


def _chunks(split: Split) -> Iterator[tuple[int, Tensor]]:
    for low in range(0, len(split), ROWS):
        yield low, thumbnails(split.between(low, min(low + ROWS, len(split))).x)

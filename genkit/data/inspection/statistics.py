"""Counts, moments and duplicates of a dataset, read chunk by chunk: memory does not grow with the data."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.data.dataset import SplitName
from genkit.data.split import Split

HASH = 16  # bytes of the hash of an example

Splits = Mapping[SplitName, Split]


@dataclass(frozen=True)
class ChannelMoments:
    """Mean and standard deviation of each channel of images, or of each value of vectors, in stored units.

    Attributes:
        mean, std: (C,) or (D,) float64.
    """

    mean: Tensor
    std: Tensor


def moments(split: Split) -> ChannelMoments:
    """Moments over the examples, and over the pixels of images; exact in float64 whatever the size of the mean."""
    count, mean, square = 0, torch.zeros(split.shape[0], dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for chunk in split.chunks(split.chunk_size):
        rows = chunk.x.to(torch.float64).flatten(2) if chunk.x.ndim > 2 else chunk.x.to(torch.float64)[:, :, None]
        n = rows.shape[0] * rows.shape[2]
        own = rows.mean((0, 2))
        away = own - mean
        square = square + (rows - own[:, None]).square().sum((0, 2)) + away.square() * count * n / (count + n)
        mean, count = mean + away * n / (count + n), count + n
    return ChannelMoments(mean, (square / count).sqrt())


def class_counts(split: Split, classes: int) -> list[int]:
    """Number of examples of each class."""
    assert split.labels is not None
    return torch.bincount(split.labels, minlength=classes).tolist()


def hashes(split: Split) -> list[bytes]:
    """The hash of the values of each example, HASH bytes; equal examples have equal ones."""
    found: list[bytes] = []
    for chunk in split.chunks(split.chunk_size):
        rows = chunk.x.flatten(1).contiguous().numpy()
        found += [hashlib.blake2b(row.data, digest_size=HASH).digest() for row in rows]
    return found


@dataclass(frozen=True)
class Duplicates:
    """Examples that equal another one to the last bit.

    Attributes:
        within: In each split, those that another one before them equals.
        between: For two splits, those of the second that one of the first equals: {"train, test": 3}.
        first: Of the splits "train" and "test", the first pairs of numbers.
    """

    within: Mapping[SplitName, int]
    between: Mapping[str, int]
    first: list[tuple[int, int]]


def duplicates(by_split: Mapping[SplitName, list[bytes]], most: int) -> Duplicates:
    """Duplicates among the hashes of splits; at most `most` pairs of training and test data are given."""
    counts = {name: Counter(found) for name, found in by_split.items()}
    within = {name: sum(counts[name].values()) - len(counts[name]) for name in counts}
    pairs: tuple[tuple[SplitName, SplitName], ...] = (("train", "val"), ("train", "test"), ("val", "test"))
    between = {
        f"{one}, {other}": sum(count for value, count in counts[other].items() if value in counts[one])
        for one, other in pairs
    }
    place = {value: i for i, value in reversed(list(enumerate(by_split["train"])))} if between["train, test"] else {}
    first = [(place[value], i) for i, value in enumerate(by_split["test"]) if value in place]
    return Duplicates(within, between, first[:most])

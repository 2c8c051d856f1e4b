"""The order of the training examples in one epoch, read in pieces: a pure function of (seed, epoch, position).

* `WholeOrder`: one random permutation of all N examples.
* `WindowedShards`: the shards in a random order, and then the examples of one window after the other, each window a
  random permutation of `window` examples that follow each other in that order. What is read at a time lies in few
  shards, and memory holds one window, not N. A window may reach over several shards, and does not end with one.

Neither has a state, so a run begins at any position, with any number of processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.noise import generator_of


class EpochOrder(ABC):
    """N numbers, each of 0 … N − 1 once."""

    @abstractmethod
    def between(self, low: int, high: int) -> Tensor:
        """(high − low,) int64: the examples at the positions low … high − 1."""


class WholeOrder(EpochOrder):
    """A random permutation of all examples.

    Args:
        n: N.
        seed, epoch: What it is a function of.
    """

    def __init__(self, n: int, seed: int, epoch: int) -> None:
        self.order = torch.randperm(n, generator=generator_of(seed, "order", epoch))

    def between(self, low: int, high: int) -> Tensor:
        return self.order[low:high]


class WindowedShards(EpochOrder):
    """Shards at random, then windows of examples at random.

    Args:
        starts: (S + 1,) the first example of each shard, and N.
        window: Examples that are mixed with each other.
        seed, epoch: What the order is a function of.
    """

    def __init__(self, starts: NDArray[np.int64], window: int, seed: int, epoch: int) -> None:
        self.n, self.window, self.seed, self.epoch = int(starts[-1]), window, seed, epoch
        shards = torch.randperm(len(starts) - 1, generator=generator_of(seed, "shards", epoch)).numpy()
        self._firsts = starts[:-1][shards]
        self._ends = np.cumsum(np.diff(starts)[shards])
        self._latest = -1, torch.empty(0, dtype=torch.int64)

    def between(self, low: int, high: int) -> Tensor:
        parts, high = [], min(high, self.n)
        while low < high:
            number, first = divmod(low, self.window)
            part = self._window(number)[first : first + high - low]
            parts.append(part)
            low += len(part)
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)

    def _window(self, number: int) -> Tensor:
        """The examples of one window, mixed; the latest one is kept."""
        if number != self._latest[0]:
            low = number * self.window
            positions = np.arange(low, min(low + self.window, self.n))
            shard = np.searchsorted(self._ends, positions, side="right")
            begins = np.concatenate([[0], self._ends[:-1]])
            examples = torch.from_numpy(self._firsts[shard] + positions - begins[shard])
            mixed = torch.randperm(len(examples), generator=generator_of(self.seed, "window", self.epoch, number))
            self._latest = number, examples[mixed]
        return self._latest[1]

r"""Random numbers of examples: those of example i of the training data are a function of (seed, epoch, i) alone.

Counter-based: no state runs from one draw to the next, so a batch draws for its own examples and no others, in any
order. Number j of the draw called `name` of example i is

.. math:: z = m(s_i + k' + (j + 1) \gamma), \qquad s_i = m(k + (i + 1) \gamma),

where k is a key made of (seed, epoch), k' one of (seed, epoch, name), γ the odd number nearest to 2⁶⁴/φ, m Stafford's
thirteenth mixer of 64 bits, and all arithmetic is modulo 2⁶⁴. So example i has a sequence of SplitMix64 that starts at
a state which is itself an output of SplitMix64.

Source: Fast Splittable Pseudorandom Number Generators (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.noise import seed_of

NAME = "splitmix64"  # of how views are drawn, which runs remember: another name where the numbers change
GAMMA = np.uint64(0x9E3779B97F4A7C15)
ROUNDS = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
LAST = np.uint64(31)

Words = NDArray[np.uint64]


class ViewStream:
    """The random numbers of one epoch of the training.

    Every draw has a name. Draws of different names are independent, so an augmentation that is switched off changes no
    other.

    Args:
        seed: Of the run.
        epoch: Number of the epoch.
    """

    def __init__(self, seed: int, epoch: int) -> None:
        self.seed, self.epoch = seed, epoch
        self._key = np.uint64(seed_of(seed, "view", epoch))
        self._steps: dict[tuple[str, int], Words] = {}
        self._latest: tuple[Tensor, Words] | None = None  # an index and its starts, for draws of several names

    def words(self, name: str, index: Tensor, count: int) -> Words:
        """(B, count) uniform 64-bit words of the examples `index` (B,) int64."""
        if (name, count) not in self._steps:
            self._steps[name, count] = self._step(name, np.arange(count, dtype=np.uint64)[None])
        return splitmix64(self._starts(index)[:, None] + self._steps[name, count])

    def _step(self, name: str, numbers: Words) -> Words:
        return np.uint64(seed_of(self.seed, "view", self.epoch, name)) + (numbers + np.uint64(1)) * GAMMA

    def _starts(self, index: Tensor) -> Words:
        """(B,)."""
        if self._latest is None or self._latest[0] is not index:
            self._latest = index, splitmix64(self._key + (index.numpy().astype(np.uint64) + np.uint64(1)) * GAMMA)
        return self._latest[1]

    def uniform(self, name: str, index: Tensor, *shape: int) -> Tensor:
        """(B, *shape) float32 uniform in [0, 1), multiples of 2⁻²⁴."""
        top = self.words(name, index, prod(shape)) >> np.uint64(40)
        return torch.from_numpy(top.astype(np.float32) * np.float32(2**-24)).view(len(index), *shape)

    def normal(self, name: str, index: Tensor, *shape: int) -> Tensor:
        """(B, *shape) float32 standard normal, by the inverse of the distribution function."""
        middle = (self.words(name, index, prod(shape)) >> np.uint64(11)).astype(np.float64) + 0.5
        return torch.special.ndtri(torch.from_numpy(middle * 2**-53)).to(torch.float32).view(len(index), *shape)

    def integers(self, name: str, index: Tensor, high: int, *shape: int) -> Tensor:
        """(B, *shape) int64 in 0 … high − 1, high ≤ 2³²; each is off from 1/high by less than 2⁻³²."""
        top = self.words(name, index, prod(shape)) >> np.uint64(32)
        return torch.from_numpy(((top * np.uint64(high)) >> np.uint64(32)).astype(np.int64)).view(len(index), *shape)

    def bytes_below(self, name: str, index: Tensor, high: int, *shape: int) -> Tensor:
        """(B, *shape) uint8 in 0 … high − 1, 1 ≤ high ≤ 256, exactly uniform, at an eighth of the cost of `integers`.

        Bytes from the largest multiple of `high` on are drawn again, from later words of the example.
        """
        n, most = prod(shape), 256 - 256 % high
        used = -(-n // 8)
        out = _bytes_of(self.words(name, index, used))[:, :n]
        again = np.flatnonzero(out >= most) if most < 256 else np.empty(0, dtype=np.int64)
        out = np.ascontiguousarray(out)
        while len(again):
            rows, columns = np.divmod(again, n)
            steps = self._step(name, (used + columns).astype(np.uint64))
            fresh = _bytes_of(splitmix64(self._starts(index)[rows] + steps)[:, None])  # eight chances for each
            fits = fresh < most
            out.reshape(-1)[again] = fresh[np.arange(len(again)), fits.argmax(1)]
            again, used = again[~fits.any(1)], used + n
        return torch.from_numpy(out if most == high else out % np.uint8(high)).view(len(index), *shape)


def _bytes_of(words: Words) -> NDArray[np.uint8]:
    """(B, 8 n) of words (B, n), the lowest byte of each first."""
    return words.astype("<u8", copy=False).view(np.uint8)


def splitmix64(z: Words) -> Words:
    """Mixed words of the same shape, in the memory of z: the output function of SplitMix64."""
    shifted = np.empty_like(z)
    for shift, factor in ROUNDS:
        z ^= np.right_shift(z, shift, out=shifted)
        z *= factor
    z ^= np.right_shift(z, LAST, out=shifted)
    return z

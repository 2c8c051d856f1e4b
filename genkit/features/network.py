"""Networks as feature spaces: on which device they compute, at which precision, and how images reach them.

Values come from the CPU and features go back there. A GPU convolves in full float32, not in the 10 bits of TF32 that
cuDNN takes by default: the features of a score are then those of another machine up to rounding.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.features.base import FeatureExtractor, unit_range

VALUES = 2**23  # of images that are read at a time


class NetworkFeatures(FeatureExtractor, ABC):
    """Features that a network computes, on the device where it lies.

    Attributes:
        net: The network.
        device: Where it lies.
        at_once: Examples that it is asked about together at most; of a large network fewer need far less memory.
    """

    net: nn.Module
    device: torch.device = torch.device("cpu")
    at_once: ClassVar[int] = 1000

    def to(self, device: torch.device) -> Self:
        self.net.to(device)
        self.device = device
        return self

    @torch.no_grad()
    def asked(self, question: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
        """The answer of the network to v (B, …) float32, both on the CPU."""
        pieces = v.tensor_split(max(1, -(-len(v) // self.at_once)))  # of nearly one size: no last one of few examples
        with full_precision():
            return torch.cat([question(piece.to(self.device)).cpu() for piece in pieces])


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolve in float32 on a GPU, by algorithms that give the same result twice."""
    if not torch.cuda.is_available():
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def intensities(x: Tensor, spec: DataSpec) -> Tensor:
    """Model values (B, C, H, W) of images to [0, 1], float32: black is 0, white is 1.

    Real numbers are clipped to their range. Raises DataError for real numbers without one.
    """
    if spec.levels is not None:
        return unit_range(x.cpu(), spec).to(torch.float32)
    if spec.value_range is None:
        raise DataError("images of real numbers without a range: what is black and what is white is not known")
    lo, hi = spec.value_range
    return ((x.cpu().to(torch.float64) - lo) / (hi - lo)).clamp(0.0, 1.0).to(torch.float32)


def seen(x: Tensor, spec: DataSpec, height: int, width: int) -> Tensor:
    """Model values (B, C, H, W) as a network of images (height, width) takes them, resized in [0, 1], float32.

    Large images are read a few at a time: in double precision all of them would be several times as large.
    """
    rows = max(1, VALUES // spec.dim)
    return torch.cat([resized(intensities(part, spec), height, width) for part in x.split(rows)])


def resized(v: Tensor, height: int, width: int) -> Tensor:
    """Images v (B, C, H, W) in [0, 1] to (B, C, height, width), by an antialiased cubic, clipped to [0, 1].

    Each axis is scaled by itself; one of the right size comes back as it is.
    """
    if v.shape[-2:] == (height, width):
        return v
    return F.interpolate(v, size=(height, width), mode="bicubic", antialias=True).clamp(0.0, 1.0)

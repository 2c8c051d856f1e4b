r"""What a dataset says about itself, and the one map between stored values and model values.

A stored value v in 0 … levels−1 (a uint8 pixel, a digits intensity 0…16) becomes

.. math:: x = lo + (hi - lo) (v + 1/2) / levels,

the middle of its bin in [lo, hi). Dequantised, v + u with u in [0, 1) fills [lo, hi) exactly. Back:
v = floor((x − lo) / (hi − lo) · levels), clipped to 0 … levels−1. Data without levels is stored as it is.

Images are stored channels last, (n, H, W, C) uint8; models see channels first, (B, C, H, W) float32.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor

from genkit.errors import DataError

Modality = Literal["image", "vector", "sequence"]
Batch = dict[str, Tensor]  # {"x": (B, *shape), "y"?: (B,) int64}


@dataclass(frozen=True)
class DataSpec:
    """The shape, range and labels of one dataset; models, metrics and samplers receive it instead of a size.

    Attributes:
        shape: One example as the model sees it: (C, H, W), (D,) or (T,).
        modality: "image", "vector" or "sequence".
        value_range: (lo, hi) of the scaled values, (−1, 1) for images; None if unbounded.
        levels: Number of discrete stored values (256; 17 for the 8x8 digits); vocabulary size of sequences; None if
            the data is continuous.
        num_classes: Number of labels, None without labels.
    """

    shape: tuple[int, ...]
    modality: Modality
    value_range: tuple[float, float] | None = None
    levels: int | None = None
    num_classes: int | None = None

    @property
    def dim(self) -> int:
        """D, the number of values in one example."""
        return prod(self.shape)

    def departure(self, other: DataSpec) -> str | None:
        """The first of shape, levels and value range in which the values of other data differ, None where none does."""
        fields = ("shape", "levels", "value_range")
        return next((name for name in fields if getattr(self, name) != getattr(other, name)), None)

    @property
    def bin_width(self) -> float:
        """(hi − lo) / levels: the width of one stored level in scaled units. Raises DataError without levels."""
        if self.levels is None or self.value_range is None:
            raise DataError(f"{self.modality} data without discrete levels has no bin width")
        lo, hi = self.value_range
        return (hi - lo) / self.levels

    def scale(self, v: Tensor) -> Tensor:
        """Stored values, channels first (B, *shape), to float32 model values of the same shape (bin centres)."""
        if self.levels is None or self.value_range is None:
            return v.to(torch.float32)
        return self.value_range[0] + self.bin_width * (v.to(torch.float32) + 0.5)

    def unscale(self, x: Tensor) -> Tensor:
        """Model values (B, *shape) to the stored ones, channels first: uint8 (int64 above 256 levels) or float32.

        Discrete data is clipped into its levels; continuous data keeps a float64 input as it is.
        """
        if self.levels is None or self.value_range is None:
            return x if x.dtype == torch.float64 else x.to(torch.float32)
        v = torch.floor((x.to(torch.float64) - self.value_range[0]) / self.bin_width).clamp_(0, self.levels - 1)
        return v.to(torch.uint8 if self.levels <= 256 else torch.int64)

    def centre(self, x: Tensor) -> Tensor:
        """Any points x (B, *shape) to the centres of their bins; continuous data comes back as it is."""
        return x if self.levels is None else self.scale(self.unscale(x)).to(x)

    def clip(self, x: Tensor) -> Tensor:
        """Model values (B, *shape) clipped into the range; unbounded data comes back as it is."""
        return x if self.value_range is None else x.clamp(*self.value_range)

    def squash(self, out: Tensor) -> Tensor:
        """Any numbers (B, *shape) through a tanh into the range; of discrete data, between the outer bins' centres.

        What a network says to lie far outside is then just what the data holds there. Unbounded data is left
        alone.
        """
        if self.value_range is None:
            return out
        lo, hi = self.value_range
        half = (hi - lo - (0.0 if self.levels is None else self.bin_width)) / 2
        return (lo + hi) / 2 + half * torch.tanh(out)

    def dequantise(self, x: Tensor, u: Tensor) -> Tensor:
        """Bin centres x and noise u in [0, 1), same shape, to points that fill [lo, hi) (Theis 2015, 1511.01844).

        Continuous data comes back as it is.
        """
        return x if self.levels is None else x + self.bin_width * (u - 0.5)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, node: dict[str, Any]) -> DataSpec:
        lo_hi = node["value_range"]
        return cls(
            shape=tuple(node["shape"]),
            modality=node["modality"],
            value_range=None if lo_hi is None else (float(lo_hi[0]), float(lo_hi[1])),
            levels=node["levels"],
            num_classes=node["num_classes"],
        )


def batch_of(shape: tuple[int, ...]) -> str:
    """The shape of a batch of such examples in words: "(n, 2)"."""
    return f"({', '.join(('n', *map(str, shape)))})"


def check_values(x: Tensor, shape: tuple[int, ...], verb: str) -> None:
    """Refuse what is no batch (n, *shape) of real numbers; nothing but shape and type is looked at.

    Raises DataError, which says what `verb` takes.
    """
    if tuple(x.shape[1:]) != shape or not x.ndim or not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        raise DataError(
            f"{verb} takes model values, float of shape {batch_of(shape)}, not {kind} of shape {tuple(x.shape)}"
        )

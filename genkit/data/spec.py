"""Specification of a dataset: the shape of an example, the kind of its values, its labels.

The maps between stored values and model values are the kind's (`genkit.data.kinds`). Images are stored channels last,
(n, H, W, C) uint8; models see channels first, (B, C, H, W) float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.data.kinds import (
    SCALAR,
    Drawing,
    Interval,
    Kind,
    Modality,
    Quantised,
    ValueKind,
    dtype_name,
    kind_from_json,
    kind_of,
)
from genkit.data.tables.kind import Tabular
from genkit.data.text.kind import Text
from genkit.errors import DataError

Batch = dict[str, Tensor]  # {"x": (B, *shape), "y"?: (B,) int64, "c"?: (B, *condition)}


@dataclass(frozen=True, init=False)
class DataSpec:
    """The shape, values and labels of one dataset; models, metrics and samplers receive it instead of a size.

    `value_range` and `levels` are short for a kind: none of them for `Real()`, a range for `Real(range)`, both for
    `Quantised(levels, range)`, levels alone for `Categorical(levels)`.

    Attributes:
        shape: One example as the model sees it: (C, H, W), (D,) or (T,).
        modality: What the shape means: "image", "vector" or "sequence".
        kind: What one value is, see `genkit.data.kinds`.
        num_classes: Number of labels, None without labels.
        names: Of the D values of a vector, the columns of a table; () where they have none.
        condition: Of pairs of images, the (C, H, W) of the image that each example is to be made from, whose values are
            of the same kind; None without pairs.

    Raises:
        DataError: the kind makes no sense, or there are names for another number of values.
    """

    shape: tuple[int, ...]
    modality: Modality
    kind: Kind
    num_classes: int | None
    names: tuple[str, ...]
    condition: tuple[int, ...] | None

    def __init__(
        self,
        shape: tuple[int, ...],
        modality: Modality,
        value_range: Interval | None = None,
        levels: int | None = None,
        num_classes: int | None = None,
        *,
        kind: Kind | None = None,
        names: tuple[str, ...] = (),
        condition: tuple[int, ...] | None = None,
    ) -> None:
        if kind is None:
            kind = kind_of(value_range, levels)
        elif value_range is not None or levels is not None:  # `replace(spec, levels=2)`
            kind = kind_of(value_range or kind.range, levels or kind.count)
        values = {"shape": shape, "modality": modality, "kind": kind, "num_classes": num_classes, "names": names}
        for name, value in {**values, "condition": condition}.items():
            object.__setattr__(self, name, value)
        if names and (len(names) != self.dim or not all(type(name) is str for name in names)):
            raise DataError(f"{len(names)} names for {self.dim} values: give one text for each, or none")
        if condition is not None and (modality != "image" or condition[1:] != shape[1:]):
            raise DataError(f"pairs of {shape} and {condition}: both are images of one height and width")
        if isinstance(kind, Tabular) and shape != (kind.table.width,):
            raise DataError(f"a table whose rows have {kind.table.width:,} values, and a shape {shape}")

    @property
    def value_range(self) -> Interval | None:
        """(lo, hi) of the model values, (−1, 1) for images; None if unbounded."""
        return self.kind.range

    @property
    def levels(self) -> int | None:
        """Number of levels of quantised values (256; 17 for the 8x8 digits), None for others."""
        return self.kind.levels if isinstance(self.kind, Quantised) else None

    @property
    def dim(self) -> int:
        """D, the number of values in one example."""
        return prod(self.shape)

    @property
    def drawing(self) -> Drawing:
        """The plot of a set of examples: "grid", "scatter", "series", "tokens", "table" or "text"."""
        return self.kind.drawing(self.modality)

    @property
    def words(self) -> str:
        """The data in a few words: "1x8x8 with 17 levels in −1 … 1"."""
        return f"{'x'.join(map(str, self.shape))}{self.kind.described}"

    def departure(self, other: DataSpec) -> str | None:
        """The first of shape, levels, value range and kind in which the values of other data differ, None if none."""
        fields = ("shape", "levels", "value_range", "kind")
        return next((name for name in fields if getattr(self, name) != getattr(other, name)), None)

    @property
    def bin_width(self) -> float:
        """(hi − lo) / levels: the width of one stored level in scaled units. Raises DataError without levels."""
        if not isinstance(self.kind, Quantised):
            raise DataError(f"{self.modality} data without discrete levels has no bin width")
        return self.kind.bin_width

    def scale(self, v: Tensor) -> Tensor:
        """Stored values, channels first (B, *shape), to model values: see `kind.to_model`."""
        return self.kind.to_model(v)

    def unscale(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Model values (B, *shape) to the stored ones, channels first: see `kind.to_stored`.

        With the labels y (B,) that they were drawn for they tell these: see `kind.labelled`.
        """
        v = self.kind.to_stored(x)
        return v if y is None else self.kind.labelled(v, y)

    def centre(self, x: Tensor) -> Tensor:
        """Any points x (B, *shape) to the centres of their bins; other data comes back as it is."""
        return self.kind.centre(x)

    def clip(self, x: Tensor) -> Tensor:
        """Model values (B, *shape) clipped into the range; unbounded data comes back as it is."""
        return self.kind.clip(x)

    def squash(self, out: Tensor) -> Tensor:
        """Any numbers (B, *shape) through a tanh into the range; of discrete data, between the outer bins' centres.

        What a network says to lie far outside is then just what the data holds there. Unbounded data is left
        alone.
        """
        return self.kind.squash(out)

    def dequantise(self, x: Tensor, u: Tensor) -> Tensor:
        """Bin centres x and noise u in [0, 1), same shape, to points that fill [lo, hi) (Theis 2015, 1511.01844).

        Other data comes back as it is.
        """
        return self.kind.dequantise(x, u)

    def to_json(self) -> dict[str, Any]:
        """Plain values; of real and quantised data those that every version of genkit wrote, since names hash them."""
        names: dict[str, Any] = {"names": list(self.names)} if self.names else {}
        if self.condition is not None:
            names["condition"] = list(self.condition)
        return {
            "shape": self.shape,
            "modality": self.modality,
            "value_range": self.value_range,
            "levels": self.levels,
            "num_classes": self.num_classes,
            **self.kind.to_json(),
            **names,
        }

    @classmethod
    def from_json(cls, node: dict[str, Any]) -> DataSpec:
        """Raises what its reading raises (KeyError, TypeError, ValueError, …) or DataError where it is no spec."""
        lo_hi = node["value_range"]
        value_range = None if lo_hi is None else (float(lo_hi[0]), float(lo_hi[1]))
        return cls(
            shape=tuple(node["shape"]),
            modality=node["modality"],
            num_classes=node["num_classes"],
            kind=_kind_of_json(node["kind"]) if "kind" in node else kind_of(value_range, node["levels"]),
            names=tuple(node.get("names", ())),
            condition=tuple(node["condition"]) if "condition" in node else None,
        )


def _kind_of_json(node: dict[str, Any]) -> Kind:
    match node["name"]:
        case Tabular.name:
            return Tabular.of_json(node)
        case Text.name:
            return Text.of_json(node)
    return kind_from_json(node)


class Takes:
    """The data that a model, a metric or features are defined on.

    Class attributes:
        modalities: What the shape may mean.
        kinds: What one value may be.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("image", "vector")
    kinds: ClassVar[tuple[type[ValueKind], ...]] = SCALAR

    @classmethod
    def unfit(cls, spec: DataSpec) -> str | None:
        """The data that it is defined on beside this, in words ("image data, not vector"); None where it fits."""
        if spec.modality not in cls.modalities:
            return f"{' and '.join(cls.modalities)} data, not {spec.modality}"
        if not isinstance(spec.kind, cls.kinds):
            return f"{' and '.join(kind.name for kind in cls.kinds)} data, not {spec.kind.name}"
        return None


def batch_words(shape: tuple[int, ...]) -> str:
    """The shape of a batch of such examples in words: "(n, 2)"."""
    return f"({', '.join(('n', *map(str, shape)))})"


def check_values(x: Tensor, shape: tuple[int, ...], verb: str, kind: ValueKind | None = None) -> None:
    """Refuse what is no batch (n, *shape) of model values; nothing but shape and type is looked at.

    Without a kind they are real numbers. Raises DataError, which says what `verb` takes.
    """
    tokens = kind is not None and not kind.model_dtype.is_floating_point
    fits = x.dtype == torch.int64 if tokens else x.is_floating_point()
    if tuple(x.shape[1:]) != shape or not x.ndim or not fits:
        wanted = "tokens, int64" if tokens else "model values, float"
        raise DataError(
            f"{verb} takes {wanted} of shape {batch_words(shape)}, not {dtype_name(x)} of shape {tuple(x.shape)}"
        )

"""Examples that are not of a dataset, made of its own: what an anomaly score has to find.

Each is a function of stored values v (n, *shape) and a generator, and gives as many stored values. They differ in what
gives them away: a flipped or rotated image has the same pixels in another place, shuffled pixels have the same
histogram and no structure, an inverted one another histogram. *Blank* and *noise* are the simplest and the most complex
images there are, and *averages* of two examples are smoother than any: simple images are likely by many models, though
none like them was ever seen (Nalisnick et al. 2019, 1810.09136).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.data.kinds import Categorical, Quantised
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.noise import generator_of

Change = Callable[[Tensor, DataSpec, torch.Generator], Tensor]


@dataclass(frozen=True)
class Outliers:
    """A kind of outliers.

    Attributes:
        what: In words.
        change: Stored values to stored values.
        fits: Tells whether data has such outliers.
        fools: Whether they are the known failure of a raw likelihood.
    """

    what: str
    change: Change
    fits: Callable[[DataSpec], bool]
    fools: bool = False


def shuffled(v: Tensor, spec: DataSpec, generator: torch.Generator) -> Tensor:
    """The values of each example in an order of its own, the channels of a pixel together."""
    flat = v.flatten(2) if spec.modality == "image" else v[:, None]
    order = torch.rand(len(v), 1, flat.shape[2], generator=generator).argsort(2)
    return flat.gather(2, order.expand_as(flat)).view_as(v)


def columns_shuffled(v: Tensor, spec: DataSpec, generator: torch.Generator) -> Tensor:
    """Each value from an example of its own: columns as they were, and independent."""
    flat = v.flatten(1)
    return flat.gather(0, torch.rand(flat.shape, generator=generator).argsort(0)).view_as(v)


def noise(v: Tensor, spec: DataSpec, generator: torch.Generator) -> Tensor:
    """Every value drawn evenly from all that there are; of real numbers from the range of each in the data."""
    if isinstance(spec.kind, Quantised):
        return torch.randint(spec.kind.levels, v.shape, generator=generator).to(v)
    if isinstance(spec.kind, Categorical):
        return torch.randint(spec.kind.vocabulary, v.shape, generator=generator)
    low, high = v.amin(0), v.amax(0)
    return low + (high - low) * torch.rand(v.shape, generator=generator).to(v)


def averages(v: Tensor, spec: DataSpec, generator: torch.Generator) -> Tensor:
    """Means of each example and another one, halves rounded up or down at random."""
    other = v.roll(1, 0)
    if not isinstance(spec.kind, Quantised):
        return (v + other) / 2
    half = torch.randint(2, v.shape, generator=generator)
    return ((v.long() + other.long() + half) // 2).to(v)


def _image(spec: DataSpec) -> bool:
    return spec.modality == "image"


def _square(spec: DataSpec) -> bool:
    return _image(spec) and spec.shape[1] == spec.shape[2]


def _levels(spec: DataSpec) -> bool:
    return isinstance(spec.kind, Quantised)


def _top(spec: DataSpec) -> int:
    assert isinstance(spec.kind, Quantised)
    return spec.kind.levels - 1


OUTLIERS = {
    "shuffled_pixels": Outliers("pixels in another order", shuffled, _image),
    "rotated": Outliers("turned by a quarter", lambda v, spec, _: v.rot90(1, (2, 3)), _square),
    "flipped_lr": Outliers("left and right exchanged", lambda v, spec, _: v.flip(3), _image),
    "flipped_ud": Outliers("upside down", lambda v, spec, _: v.flip(2), _image),
    "inverted": Outliers("dark and light exchanged", lambda v, spec, _: (_top(spec) - v.long()).to(v), _levels),
    "averages": Outliers("means of two examples", averages, lambda spec: spec.kind.model_dtype.is_floating_point, True),
    "blank": Outliers("the lowest level everywhere", lambda v, spec, _: torch.zeros_like(v), _levels, True),
    "noise": Outliers("independent values, evenly drawn", noise, lambda spec: True, True),
    "shuffled_columns": Outliers(
        "each value from another example", columns_shuffled, lambda spec: spec.modality == "vector"
    ),
    "shuffled_tokens": Outliers("tokens in another order", shuffled, lambda spec: spec.modality == "sequence"),
}


def outlier_kinds(spec: DataSpec) -> list[str]:
    """The names of the outliers that such data has."""
    return [name for name, kind in OUTLIERS.items() if kind.fits(spec)]


def outliers_of(name: str, v: Tensor, spec: DataSpec, seed: int) -> Tensor:
    """Outliers (n, *shape) made of stored values v (n, *shape), a function of these and the seed.

    Raises ConfigError for a name that there is not, or not for such data.
    """
    if name not in outlier_kinds(spec):
        raise ConfigError(f"{name}: no outliers of this data; there are {', '.join(outlier_kinds(spec))}")
    return OUTLIERS[name].change(v, spec, generator_of(seed, "outliers", name)).contiguous()

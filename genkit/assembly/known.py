"""Values of an example that are known, as `known=` and `hidden=` say.

known=upper              a half: upper, lower, left or right
hidden=[2,2,4,4]         a box: top, left, height, width
known=0.3                a random share of the values (of an image: of its pixels), each example's own
known=mask.png           a picture of the data's size, white where it is known; or an .npy of booleans
known=[age,income]       columns of a table or places of a vector
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.config.suggestions import did_you_mean
from genkit.data.arrays import open_arrays
from genkit.data.images.decoding import BadImage, decode
from genkit.data.images.folder import read_whole
from genkit.data.spec import DataSpec
from genkit.data.tables.kind import Tabular
from genkit.errors import ConfigError, DataError
from genkit.noise import generator_of
from genkit.printing import shown

HALVES = ("upper", "lower", "left", "right")
WHITE = 127  # a mask's pixel is known above
Place = float | str | list[int | str]


def mask_of(place: Place, key: str, spec: DataSpec, n: int, seed: int) -> Tensor:
    """Bool (*shape,), or (n, *shape) where each example has its own: the values that are meant.

    Args:
        place: A half, a box, a share, the path of a mask, or columns.
        key: What it was given as, for messages.
        spec: The data.
        n: Examples.
        seed: Of random shares.

    Raises:
        ConfigError: the data has no such place.
        DataError: a mask that cannot be read, or of another size.
    """
    if isinstance(place, (int, float)) and not isinstance(place, bool):
        return _share(float(place), key, spec, n, seed)
    if isinstance(place, list):
        return _box(place, key, spec) if spec.modality == "image" else _columns(place, key, spec)
    if place in HALVES:
        return _half(str(place), key, spec)
    if spec.modality != "image" and _names(spec) and str(place) in _names(spec):
        return _columns([str(place)], key, spec)
    return _file(Path(str(place)), key, spec)


def refuse_all_or_nothing(known: Tensor, key: str) -> None:
    """Raises ConfigError where everything or nothing is known."""
    if bool(known.all()):
        raise ConfigError(f"{key}: everything is known, and nothing is left to complete: hide some of it")
    if not bool(known.any()):
        raise ConfigError(f"{key}: nothing is known: genkit sample draws from nothing")


def _share(share: float, key: str, spec: DataSpec, n: int, seed: int) -> Tensor:
    if not 0 < share < 1:
        raise ConfigError(f"{key}={share:g}: a share lies between 0 and 1")
    if isinstance(spec.kind, Tabular):
        columns = _random(share, len(spec.kind.table.columns), n, key, seed)
        widths = torch.tensor([column.code.width for column in spec.kind.table.columns])
        return columns.repeat_interleave(widths, 1)
    if spec.modality == "image":
        _, height, width = spec.shape
        return _random(share, height * width, n, key, seed).reshape(n, 1, height, width).expand(n, *spec.shape)
    return _random(share, spec.dim, n, key, seed).reshape(n, *spec.shape)


def _random(share: float, places: int, n: int, key: str, seed: int) -> Tensor:
    """Bool (n, places): round(share · places) of them in each row, at least one and not all."""
    count = min(max(round(share * places), 1), places - 1)
    if count < 1:
        raise ConfigError(f"{key}={share:g}: this data has one value: name what is known")
    order = torch.stack([torch.randperm(places, generator=generator_of(seed, "known", i)) for i in range(n)])
    return order < count


def _box(place: Sequence[int | str], key: str, spec: DataSpec) -> Tensor:
    _, height, width = spec.shape
    said = f"{key}=[{','.join(map(str, place))}]"
    if len(place) != 4 or not all(type(value) is int for value in place):
        raise ConfigError(f"{said}: a box is [top,left,height,width] in pixels")
    top, left, tall, wide = (int(value) for value in place)
    if min(top, left) < 0 or min(tall, wide) < 1 or top + tall > height or left + wide > width:
        raise ConfigError(f"{said}: the box does not lie in an image of {height}x{width} pixels")
    inside = torch.zeros(spec.shape, dtype=torch.bool)
    inside[:, top : top + tall, left : left + wide] = True
    return inside


def _half(place: str, key: str, spec: DataSpec) -> Tensor:
    if spec.modality != "image":
        raise ConfigError(f"{key}={place}: halves are of images, and this is {spec.modality} data: name columns")
    _, height, width = spec.shape
    inside = torch.zeros(spec.shape, dtype=torch.bool)
    across, side = (height, 1) if place in ("upper", "lower") else (width, 2)
    if across < 2:
        raise ConfigError(f"{key}={place}: an image one pixel wide has no halves")
    first = place in ("upper", "left")
    inside.narrow(side, 0 if first else across // 2, across // 2 if first else across - across // 2).fill_(True)
    return inside


def _columns(place: Sequence[int | str], key: str, spec: DataSpec) -> Tensor:
    if spec.modality != "vector":
        raise ConfigError(f"{key}: columns are of tables and vectors, and this is {spec.modality} data")
    names = _names(spec)
    inside = torch.zeros(spec.shape, dtype=torch.bool)
    for value in place:
        number = _number(value, key, names, spec)
        inside[spec.kind.table.slices[number] if isinstance(spec.kind, Tabular) else number] = True
    return inside


def _number(value: int | str, key: str, names: Sequence[str], spec: DataSpec) -> int:
    """The number of a column."""
    if str(value) in names:
        return names.index(str(value))
    if not names and type(value) is int and 0 <= value < spec.dim:
        return value
    if names:
        some = ", ".join(map(shown, names[:12])) + (", …" if len(names) > 12 else "")
        raise ConfigError(
            f"{key}: there is no column {shown(str(value))}; there are {some}{did_you_mean(str(value), names)}"
        )
    raise ConfigError(f"{key}: {shown(str(value))}: the places of this data are 0 … {spec.dim - 1}")


def _names(spec: DataSpec) -> tuple[str, ...]:
    return spec.kind.table.names if isinstance(spec.kind, Tabular) else spec.names


def _file(path: Path, key: str, spec: DataSpec) -> Tensor:
    """A mask in a file."""
    if not path.is_file():
        named = f" or a column ({', '.join(map(shown, _names(spec)[:8]))})" if _names(spec) else ""
        raise ConfigError(
            f"{key}={shown(str(path))}: neither a half ({', '.join(HALVES)}), a box [top,left,height,width], a share "
            f"such as 0.3{named}, nor the file of a mask"
        )
    if path.suffix.lower() in (".npy", ".npz"):
        with open_arrays(path, "give one array of booleans") as arrays:
            values = np.asarray(arrays.read(arrays.names[0]))
        mask = torch.from_numpy(values.astype(bool))
    elif spec.modality != "image":
        raise DataError(f"{key}={shown(path)}: a mask of {spec.modality} data is an .npy of booleans")
    else:
        try:
            mask = torch.from_numpy(decode(read_whole(path), 1)[:, :, 0] > WHITE)
        except BadImage as error:
            raise DataError(f"{key}={shown(path)}: not a picture that can be read ({error})") from error
    if tuple(mask.shape) == spec.shape[1:] and spec.modality == "image":
        return mask.expand(spec.shape)
    if tuple(mask.shape) != spec.shape:
        size, own = ("x".join(map(str, sizes)) for sizes in (mask.shape, spec.shape))
        raise DataError(f"{key}={shown(path)}: a mask of {size} values, and an example has {own}: draw it that size")
    return mask

r"""Anybody's samples as files: `.npz`, `.npy` or a folder of PNG images.

What a file holds are **stored values** v (see `genkit.data.spec`): images (n, H, W, C) with integers 0 … levels − 1,
vectors (n, D) with real numbers. The array of an `.npz` is called `x`, or `arr_0` as in the files of Dhariwal and
Nichol 2021 (2105.05233); labels `y` are optional. Images scaled to [0, 1] or [−1, 1] are refused, since nothing in the
file says how to undo that.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from genkit.data.dataset import Split
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.storage.atomic import whole_file
from genkit.storage.disk import shown

Array = NDArray[np.generic]

LOSSY = (".jpg", ".jpeg")  # pictures whose pixels are not those that were sampled
OTHERS = (".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")  # pictures that would be left out in silence
LARGEST = float(np.finfo(np.float32).max)  # what a model can draw; squares of larger values overflow in distances


def read_samples(path: Path | str, spec: DataSpec | None = None) -> Split:
    """Samples from a file or folder, channels first: uint8 (n, C, H, W), or float32/float64 (n, D) as in the file.

    Args:
        path: An `.npz`, an `.npy`, or a folder of PNG images (in the order of their names).
        spec: The data that they must fit; None takes 8-bit images or vectors, whatever the file holds.

    Raises:
        DataError: the file is missing or unreadable, or its shape, type or values are not what the data stores.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give an .npz with key x, an .npy, or a folder of PNG images")
    x, y = _read_folder(path) if path.is_dir() else _read_arrays(path)
    spec = spec or _spec_of_array(x, path)
    return Split(_values(x, spec, path), None if y is None else _labels(y, len(x), spec, path))


def write_samples(path: Path, spec: DataSpec, x: Tensor, y: Tensor | None = None) -> None:
    """Stored values x (n, *shape), channels first, and labels y (n,) to an `.npz` that `read_samples` takes."""
    stream_samples_to(path, spec, len(x), [(x, y)])


def stream_samples_to(path: Path, spec: DataSpec, n: int, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """As `write_samples`, from batches of n samples in all, of which one at a time is held in memory.

    Raises:
        StorageError: the file cannot be written.
    """
    dtype = _stored_dtype(spec)
    labels: list[NDArray[np.int64]] = []
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as entry:
            _write_header(entry, (n, *_stored_shape(spec)), dtype)
            for x, y in batches:
                values = x.movedim(1, -1) if spec.modality == "image" else x
                entry.write(np.ascontiguousarray(values.numpy(), dtype=dtype).tobytes())
                labels += [] if y is None else [y.numpy()]
        if labels:
            with archive.open("y.npy", "w") as entry:
                np.lib.format.write_array(entry, np.concatenate(labels), allow_pickle=False)


def samples_size(spec: DataSpec, n: int) -> int:
    """Bytes of n samples before compression."""
    return n * _stored_dtype(spec).itemsize * math.prod(spec.shape)


def _stored_dtype(spec: DataSpec) -> np.dtype[Any]:
    return np.dtype(np.float32) if spec.levels is None else np.dtype(np.uint8 if spec.levels <= 256 else np.int64)


def _write_header(entry: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """The start of an `.npy` file whose values follow."""
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(entry, description)


def spec_of(samples: Split) -> DataSpec:
    """What a file of samples says about itself: 8-bit images in [−1, 1) or unbounded vectors."""
    shape = tuple(samples.x.shape[1:])
    return DataSpec(shape, "image", (-1.0, 1.0), 256) if len(shape) == 3 else DataSpec(shape, "vector")


def _read_arrays(path: Path) -> tuple[Array, Array | None]:
    if path.suffix.lower() in (".png", *LOSSY, *OTHERS):
        raise DataError(f"{path}: one image; give a folder of PNG images, or an .npz with key x")
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            return file, None
        with file:
            key = next((key for key in ("x", "arr_0") if key in file.files), None)
            if key is None:
                raise DataError(f"{path}: it has the arrays {', '.join(file.files)}; the samples must be called x")
            return file[key], file["y"] if "y" in file.files else None
    except MemoryError as error:
        raise DataError(f"{path}: declares an array that the memory cannot hold ({error})") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz or .npy file without pickled objects") from error


def _read_folder(path: Path) -> tuple[Array, None]:
    entries = sorted(file for file in path.glob("*") if not file.name.startswith("."))
    files = [file for file in entries if file.suffix.lower() == ".png"]
    if lossy := [file for file in entries if file.suffix.lower() in LOSSY]:
        raise DataError(f"{path}: {lossy[0].name} is JPEG, which changes pixels: write PNG, or an .npz with key x")
    if others := [file for file in entries if file.suffix.lower() in OTHERS]:
        raise DataError(f"{path}: {others[0].name} is no PNG: write PNG, or an .npz with key x")
    if not files:
        raise DataError(f"{path}: no .png files in this folder; give a folder of PNG images or an .npz with key x")
    images = [_read_png(file) for file in files]
    odd = next((file for file, image in zip(files, images, strict=True) if image.shape != images[0].shape), None)
    if odd is not None:
        raise DataError(f"{odd}: its shape differs from that of {files[0].name}: all images need one size and mode")
    return np.stack(images), None


def _read_png(path: Path) -> Array:
    """(H, W, C) uint8, C = 1 or 3."""
    if not path.is_file():  # a pipe would wait for a writer for ever
        raise DataError(f"{shown(path)}: no regular file; take it out of the folder")
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path, formats=("PNG",)) as image,
        ):
            if image.mode not in ("L", "RGB"):
                raise DataError(f"{shown(path)}: a PNG of mode {image.mode}; store 8-bit grey (L) or RGB")
            return np.atleast_3d(np.asarray(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{shown(path)}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; take it out of the folder"
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{shown(path)}: not a readable PNG image") from error


def _spec_of_array(x: Array, path: Path) -> DataSpec:
    if x.ndim == 4:
        return DataSpec((x.shape[3], x.shape[1], x.shape[2]), "image", (-1.0, 1.0), 256)
    if x.ndim == 2:
        return DataSpec((x.shape[1],), "vector")
    raise DataError(f"{path}: an array of shape {x.shape}; samples are (n, H, W, C) for images or (n, D) for vectors")


def _stored_shape(spec: DataSpec) -> tuple[int, ...]:
    return (*spec.shape[1:], spec.shape[0]) if spec.modality == "image" else spec.shape


def _values(x: Array, spec: DataSpec, path: Path) -> Tensor:
    """The array as stored values, checked."""
    if (wanted := _stored_shape(spec)) != x.shape[1:] or len(x) == 0:
        letters = ", ".join(("n", *map(str, wanted)))
        raise DataError(f"{path}: an array of shape {x.shape}; this data is stored as ({letters}) with n ≥ 1")
    if x.dtype.kind not in "uif":
        raise DataError(f"{path}: values of type {x.dtype}; store {'integers' if spec.levels else 'float32'}")
    if not np.isfinite(x).all():
        bad = int(np.argmax(~np.isfinite(x).reshape(len(x), -1).all(1)))
        raise DataError(f"{path}: sample {bad} has a value that is not finite")
    return _discrete(x, spec, path) if spec.levels else _continuous(x, path)


def _continuous(x: Array, path: Path) -> Tensor:
    narrow = x.dtype in (np.float16, np.float32)
    if not narrow and (size := np.abs(x.reshape(len(x), -1)).max(1)).max() > LARGEST:
        bad = int(np.argmax(size > LARGEST))
        raise DataError(f"{path}: sample {bad} has a value of size {size[bad]:.3g}; store values within ±{LARGEST:.2g}")
    return torch.from_numpy(x.astype(np.float32 if narrow else np.float64))


def _discrete(x: Array, spec: DataSpec, path: Path) -> Tensor:
    """Integers in 0 … levels − 1, channels first."""
    assert spec.levels is not None
    allowed = f"store integers v in 0 … {spec.levels - 1}"
    low, high = x.min(), x.max()
    if x.dtype.kind == "f" and (low < 0 or high <= 1 or (x != np.floor(x)).any()):
        raise DataError(f"{path}: real values in [{low:g}, {high:g}], perhaps scaled; {allowed}")
    if low < 0 or high >= spec.levels:
        raise DataError(f"{path}: a value of {high if high >= spec.levels else low:g}; {allowed}")
    v = torch.from_numpy(x.astype(np.uint8 if spec.levels <= 256 else np.int64))
    return v.movedim(-1, 1).contiguous() if spec.modality == "image" else v


def _labels(y: Array, n: int, spec: DataSpec, path: Path) -> Tensor:
    if y.shape != (n,) or y.dtype.kind not in "ui":
        raise DataError(f"{path}: labels y of shape {y.shape} and type {y.dtype}; store ({n},) integers or leave y out")
    top = int(y.max()) if spec.num_classes is None else spec.num_classes - 1
    if y.min() < 0 or y.max() > top:
        raise DataError(f"{path}: labels from {y.min()} to {y.max()}; they lie in 0 … {top}")
    return torch.from_numpy(y.astype(np.int64))

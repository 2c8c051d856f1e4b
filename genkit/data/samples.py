r"""Samples in files: `.npz`, `.npy`, a folder of PNG images, a table, or text.

What a file holds are **stored values** v (see `genkit.data.spec`): images (n, H, W, C) with integers 0 … levels − 1,
vectors (n, D) with real numbers, sequences (n, T) with tokens. Where nothing else is known of the data, int64 without
negative values in two dimensions are tokens, as `genkit sample` writes them, and everything else of that shape is
vectors. The array of an `.npz` is called `x`, or `arr_0` as in the files of Dhariwal and
Nichol 2021 (2105.05233); labels `y` (there `arr_1`) are optional. Channels first and grey images without the axis of
channels are taken where the shape leaves no doubt. Images scaled to [0, 1] or [−1, 1] are refused, since nothing in the
file says how to undo that, and so are statistics (mu, sigma) in place of samples.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.arrays import Array, ArrayFile, open_arrays
from genkit.data.image_folder import LOSSY, OTHERS, PNG, read_folder
from genkit.data.kinds import Categorical, dtype_name
from genkit.data.on_disk import aloud
from genkit.data.spec import DataSpec, batch_words
from genkit.data.split import InMemory, Split
from genkit.data.tables.files import is_table
from genkit.data.tables.kind import Tabular
from genkit.data.tables.samples import read_rows
from genkit.data.text.sample_files import is_text, read_text
from genkit.errors import DataError
from genkit.printing import shell_word, shown
from genkit.storage.atomic import whole_file
from genkit.storage.regular import read_regular
from genkit.storage.version import version_of

KEYS = ("x", "arr_0")  # what samples are called
SCHEMA = "genkit.samples/1"
LARGEST_NOTE = 2**20  # bytes
SAMPLES, NOTE = "samples.npz", "samples.json"  # in a folder that `genkit sample` wrote
ROWS = "samples.csv"  # beside them, of a table
GIVE = "give an .npz with key x, an .npy, a folder of PNG images, a .csv of a table, or a .txt or .jsonl of text"
CHANNELS = (1, 3)
LARGEST_TOKEN = 2**31 - 1
LARGEST = float(np.finfo(np.float32).max)  # what a model can draw; squares of larger values overflow in distances


def read_samples(path: Path | str, spec: DataSpec | None = None) -> InMemory:
    """Samples from a file or folder, channels first: uint8 (n, C, H, W), or float32/float64 (n, D) as in the file.

    Args:
        path: An `.npz`, an `.npy`, a folder of PNG images (in the order of their names), or one that `genkit sample`
            wrote; of a table its CSV, TSV or parquet file, of text a `.txt` or `.jsonl`.
        spec: The data that they must fit; None takes 8-bit images, vectors or tokens, by the file.

    Raises:
        DataError: the file is missing or unreadable, or its shape, type or values are not what the data stores.
    """
    path = Path(path)
    try:
        missing = not path.exists()
    except (OSError, ValueError):  # a name that no file can have
        missing = True
    if missing:
        raise DataError(f"{shown(path)}: no such file or folder; {GIVE}")
    known = spec is not None
    of_table = spec is not None and isinstance(spec.kind, Tabular)  # which may lie in a .txt too
    if is_text(path) and path.is_file() and not of_table:
        return InMemory(read_text(path, spec, aloud))
    if is_table(path) and path.is_file():
        return read_rows(path, spec)
    if path.is_dir() and not _drawn_here(path):
        x, y = read_folder(path), None
        spec = spec or _spec_of(x.shape, path)
        x = form_of(x.shape, spec, path).of(x)
    else:
        x, y, spec = _read_arrays(path / SAMPLES if path.is_dir() else path, spec)
    if not known and _are_tokens(x):
        spec = DataSpec(spec.shape, "sequence", kind=Categorical(int(x.max()) + 1))
    return InMemory(_values(x, spec, path), None if y is None else _labels(y, len(x), spec, path))


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
    return np.dtype(dtype_name(spec.kind.stored_dtype))


def _write_header(entry: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """The start of an `.npy` file whose values follow."""
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(entry, description)


def spec_of(samples: Split, others: Iterable[Path | str] = ()) -> DataSpec:
    """Infer the spec of a file of samples: 8-bit images in [−1, 1), unbounded vectors, or tokens.

    How many tokens there are, no file says: as many as it and the `others` that stand beside it have.
    """
    shape = samples.shape
    if samples.dtype == torch.int64:
        splits = (samples, *(read_samples(path) for path in others))
        largest = max(int(chunk.x.max()) for split in splits for chunk in split.chunks(split.chunk_size))
        return DataSpec(shape, "sequence", kind=Categorical(largest + 1))
    return DataSpec(shape, "image", (-1.0, 1.0), 256) if len(shape) == 3 else DataSpec(shape, "vector")


def _drawn_here(path: Path) -> bool:
    """Tell whether `genkit sample` wrote a folder: samples, and pictures of some of them. Raises for a run's."""
    if (path / "run.json").is_file():
        raise DataError(f"{shown(path)}: a run, which holds no samples: score it as {shell_word(f'ckpt={path}')}")
    drawn = (path / SAMPLES).exists() and (path / NOTE).exists()
    if drawn:
        _refuse_newer(path / NOTE)
    return drawn


def _refuse_newer(note: Path) -> None:
    """Raises CheckpointError where a newer genkit drew the samples; the note is asked for nothing else."""
    data = read_regular(note, LARGEST_NOTE, advice="draw the samples again")
    try:
        node = json.loads(data)
    except (ValueError, RecursionError):
        return
    version_of(node.get("schema") if isinstance(node, dict) else None, SCHEMA, note)


def _read_arrays(path: Path, spec: DataSpec | None) -> tuple[Array, Array | None, DataSpec]:
    """Samples (n, *stored shape), labels, and what data they are; nothing is read that does not fit."""
    if path.suffix.lower() in (PNG, *LOSSY, *OTHERS):
        raise DataError(f"{shown(path)}: one image; give a folder of PNG images, or an .npz with key x")
    with open_arrays(path, GIVE) as arrays:
        names = arrays.names
        key = next((key for key in KEYS if key in names), None)
        if key is None:
            raise DataError(_without_samples(path, names))
        shape = arrays.declared(key).shape
        spec = spec or _spec_of(shape, path)
        form = form_of(shape, spec, path)
        return form.of(arrays.read(key)), _read_labels(arrays, key, shape[0], path), spec


def _without_samples(path: Path, names: list[str]) -> str:
    if {"mu", "sigma"} <= set(names):
        return (
            f"{shown(path)}: statistics (mu, sigma) and no samples, which are not supported: they do not say of which "
            "features they are, and floors and most metrics need the samples themselves: give these"
        )
    had = f"it has the arrays {', '.join(map(shown, names[:8]))}" if names else "it has no arrays"
    return f"{shown(path)}: {had}; the samples must be called x"


def _read_labels(arrays: ArrayFile, key: str, n: int, path: Path) -> Array | None:
    """Labels (n,) or (n, 1): the array y, or arr_1 where the samples are arr_0 and it can be nothing else."""
    if "y" in arrays.names:
        declared = arrays.declared("y")
        if declared.shape not in ((n,), (n, 1)):
            raise DataError(_odd_labels(path, n, declared.shape, declared.dtype))
        return arrays.read("y")
    if key == "arr_0" and "arr_1" in arrays.names:
        declared = arrays.declared("arr_1")
        if declared.dtype.kind in "ui" and declared.shape in ((n,), (n, 1)):
            return arrays.read("arr_1")
    return None


def _odd_labels(path: Path, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    return f"{shown(path)}: labels y of shape {str(shape)[:80]} and type {dtype}; store ({n},) integers or leave y out"


@dataclass(frozen=True)
class Form:
    """The way from an array (n, …) to (n, *stored shape): its axes in another order, then another shape."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def of(self, x: Array) -> Array:
        return x.transpose(self.axes).reshape(self.shape)


def form_of(shape: tuple[int, ...], spec: DataSpec, path: Path) -> Form:
    """Find out how an array of this shape holds such data, where it can be meant in one way only.

    Images are stored channels last; channels first are told from the shape, and grey ones may lack the axis.

    Raises DataError for any other shape.
    """
    stored, found = _stored_shape(spec), shape[1:]
    axes = tuple(range(len(shape)))
    fits = found == stored or (*found, 1) == stored
    if not fits and spec.modality == "image" and found == spec.shape:
        axes, fits = (0, 2, 3, 1), True
    if not fits or not shape or shape[0] == 0:
        letters = batch_words(stored)
        flat = spec.modality == "image" and found == (math.prod(stored),)
        advice = f"; reshape it to {letters}" if flat else ""
        short = str(shape)[:80]
        raise DataError(
            f"{shown(path)}: an array of shape {short}; this data is stored as {letters} with n ≥ 1{advice}"
        )
    return Form(axes, (shape[0], *stored))


def _spec_of(shape: tuple[int, ...], path: Path) -> DataSpec:
    """The data of an array that nothing is known about: 8-bit images, grey or with channels, or vectors."""
    if len(shape) == 4:
        first = shape[3] not in CHANNELS and shape[1] in CHANNELS
        c, h, w = shape[1:] if first else (shape[3], *shape[1:3])
        return DataSpec((c, h, w), "image", (-1.0, 1.0), 256)
    if len(shape) == 3:
        return DataSpec((1, *shape[1:]), "image", (-1.0, 1.0), 256)
    if len(shape) in (1, 2):
        return DataSpec((*shape[1:], 1)[:1], "vector")
    raise DataError(
        f"{shown(path)}: an array of shape {str(shape)[:80]}; samples are (n, H, W, C) for images or (n, D) for vectors"
    )


def _are_tokens(x: Array) -> bool:
    """Tell whether an array (n, T) of unknown origin holds tokens rather than real vectors."""
    return x.ndim == 2 and x.dtype == np.int64 and x.size > 0 and bool(x.min() >= 0 and x.max() < LARGEST_TOKEN)


def _stored_shape(spec: DataSpec) -> tuple[int, ...]:
    return (*spec.shape[1:], spec.shape[0]) if spec.modality == "image" else spec.shape


def _values(x: Array, spec: DataSpec, path: Path) -> Tensor:
    """The array as stored values, checked."""
    if x.dtype.kind not in "uif":
        raise DataError(
            f"{shown(path)}: values of type {x.dtype}; store {'integers' if spec.kind.count else 'float32'}"
        )
    if not np.isfinite(x).all():
        bad = int(np.argmax(~np.isfinite(x).reshape(len(x), -1).all(1)))
        raise DataError(f"{shown(path)}: sample {bad} has a value that is not finite")
    return _continuous(x, path) if spec.kind.count is None else _discrete(x, spec, spec.kind.count, path)


def _continuous(x: Array, path: Path) -> Tensor:
    narrow = x.dtype in (np.float16, np.float32)
    if not narrow and (size := np.abs(x.reshape(len(x), -1)).max(1)).max() > LARGEST:
        bad = int(np.argmax(size > LARGEST))
        raise DataError(
            f"{shown(path)}: sample {bad} has a value of size {size[bad]:.3g}; store values within ±{LARGEST:.2g}"
        )
    return torch.from_numpy(x.astype(np.float32 if narrow else np.float64))


def _discrete(x: Array, spec: DataSpec, count: int, path: Path) -> Tensor:
    """Integers in 0 … count − 1, channels first."""
    allowed = f"store integers v in 0 … {count - 1}"
    low, high = x.min(), x.max()
    if x.dtype.kind == "f" and (low < 0 or high <= 1 or (x != np.floor(x)).any()):
        raise DataError(f"{shown(path)}: real values in [{low:g}, {high:g}], perhaps scaled; {allowed}")
    if low < 0 or high >= count:
        raise DataError(f"{shown(path)}: a value of {high if high >= count else low:g}; {allowed}")
    v = torch.from_numpy(x.astype(_stored_dtype(spec)))
    return v.movedim(-1, 1).contiguous() if spec.modality == "image" else v


def _labels(y: Array, n: int, spec: DataSpec, path: Path) -> Tensor:
    """(n,) int64: whole numbers of any type, as a column too."""
    flat = y.reshape(-1)
    whole = flat.dtype.kind in "ui" or (flat.dtype.kind == "f" and bool((flat == np.floor(flat)).all()))
    if not whole:
        raise DataError(_odd_labels(path, n, y.shape, y.dtype))
    top = (np.iinfo(np.int64).max if spec.num_classes is None else spec.num_classes) - 1
    if flat.min() < 0 or flat.max() > top:
        raise DataError(f"{shown(path)}: labels from {flat.min():g} to {flat.max():g}; give labels in 0 … {top}")
    return torch.from_numpy(flat.astype(np.int64))

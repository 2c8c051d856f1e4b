"""The arrays of a file that are examples, those that are labels, and the split of each.

    an .npy                               examples
    x, y    images, labels    arr_0 …     examples and labels; the splits are made by content
    x_train, y_train, x_test, y_test      a split each; train_images, val_labels and the like as well

The names that are known stand in EXAMPLES and LABELS, in any case. A file with one array alone may call it anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genkit.data.array_rows import ArrayRows, NamedRows
from genkit.data.arrays import Array
from genkit.data.dataset import SplitName
from genkit.data.images.class_labels import NONE
from genkit.data.images.layout import SPLITS
from genkit.errors import DataError
from genkit.printing import shown

EXAMPLES = ("x", "images", "image", "data", "samples", "features", "arr_0")
LABELS = ("y", "labels", "label", "targets", "target", "arr_1")
ADVICE = "give data.root=FILE, an .npy, an .npz or a .safetensors of arrays"
MOST_NAMED = 8


@dataclass(frozen=True)
class ArrayPart:
    """An array of examples.

    Attributes:
        name: Of the array, in the names of its examples.
        rows: Of the array.
        split: That they belong to, None where it says nothing.
        labels: The name of each one's class, None without.
    """

    name: str
    rows: ArrayRows
    split: SplitName | None = None
    labels: Sequence[str] | None = None


def array_parts(path: Path, labels: str | None) -> list[ArrayPart]:
    """The arrays of examples in a file, with their labels.

    Args:
        path: `.npy`, `.npz` or safetensors.
        labels: None: those of the file if it has any; "none"; or the `.npy` of a file with one array of examples.

    Raises:
        DataError: damaged, no known names, or labels that do not fit.
    """
    arrays = NamedRows(path, ADVICE)
    found = examples_of(arrays.names, path)
    if labels not in (None, NONE) and len(found) > 1:
        raise DataError(f"{shown(path)}: has splits, each with labels of its own: leave data.labels out, or say none")
    parts = []
    for split, (name, beside) in found.items():
        rows = arrays.rows(name)
        of_each = None
        if labels is None and beside is not None:
            of_each = class_names(arrays.whole(beside), len(rows), f"{shown(path)}: {shown(beside)}")
        elif labels not in (None, NONE):
            other = Path(labels).expanduser()
            of_each = class_names(_labels_file(other), len(rows), shown(other))
        parts.append(ArrayPart(name, rows, split, of_each))
    if len({part.labels is None for part in parts}) > 1:
        raise DataError(
            f"{shown(path)}: some splits have labels and some have none: give all of them, or say data.labels=none"
        )
    return parts


def examples_of(names: Sequence[str], path: Path) -> dict[SplitName | None, tuple[str, str | None]]:
    """The names of examples and labels by split; one split None where there are no splits. Raises DataError."""
    kinds = [(_kind(name), name) for name in names]
    examples = {split: name for (what, split), name in reversed(kinds) if what == "examples"}
    labels = {split: name for (what, split), name in reversed(kinds) if what == "labels"}
    if not examples and len(names) == 1:
        examples = {None: names[0]}
    if "train" in examples:
        return {split: (name, labels.get(split)) for split, name in examples.items() if split is not None}
    if None in examples:
        return {None: (examples[None], labels.get(None))}
    had = ", ".join(shown(name) for name in names[:MOST_NAMED]) or "none"
    raise DataError(
        f"{shown(path)}: which of its arrays are the examples? It has {had}: call them x and y, or x_train, y_train, "
        "x_test and y_test"
    )


def _kind(name: str) -> tuple[str, SplitName | None]:
    """ "examples", "labels" or "", and the split, of the array of this name."""
    plain = name.lower()
    split: SplitName | None = None
    if plain not in (*EXAMPLES, *LABELS):
        words = re.split(r"[_\-./]", plain)
        said = [SPLITS[word] for word in words if word in SPLITS]
        plain = "_".join(word for word in words if word not in SPLITS)
        if len(said) != 1:
            return "", None
        split = said[0]
    return ("examples" if plain in EXAMPLES else "labels" if plain in LABELS else ""), split


def class_names(labels: Array, n: int, name: str) -> list[str]:
    """The class of each of n examples as text. Raises DataError where the labels are none of n examples."""
    if labels.shape not in ((n,), (n, 1)):
        raise DataError(
            f"{name}: labels of shape {str(labels.shape)[:60]} for {n:,} examples: give one label for each, ({n},)"
        )
    flat = labels.reshape(-1)
    if flat.dtype.kind == "f" and bool((flat == np.floor(flat)).all()) and float(np.abs(flat).max()) < 2**53:
        flat = flat.astype(np.int64)
    if flat.dtype.kind == "b":
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "uiUS":
        raise DataError(f"{name}: labels of type {labels.dtype}: give whole numbers or texts")
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in flat.tolist()]


def _labels_file(path: Path) -> Array:
    arrays = NamedRows(path, "data.labels= is none, or an .npy with a label for each example")
    if len(arrays.names) == 1:
        return arrays.whole(arrays.names[0])
    found = next((name for name in arrays.names if _kind(name) == ("labels", None)), None)
    if found is None:
        raise DataError(f"{shown(path)}: which of its arrays are the labels? Call them y, or give an .npy")
    return arrays.whole(found)

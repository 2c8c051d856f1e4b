"""Forms in which a benchmark is published: which files belong to it, and the arrays of images that they hold."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genkit.data.array_parts import ArrayPart, class_names, examples_of
from genkit.data.array_rows import InMemoryRows
from genkit.data.arrays import Array, ArrayFile, array_errors
from genkit.data.dataset import SplitName
from genkit.data.published.files import AGAIN, NamedFiles
from genkit.errors import DataError
from genkit.printing import shown

MOST_NAMED = 4


class PublishedForm(ABC):
    """One form of the files."""

    @abstractmethod
    def wanted(self, names: Collection[str]) -> Mapping[str, str | None]:
        """Each file of the form -> its name among these, None where it is not there."""

    @abstractmethod
    def parts(self, files: NamedFiles, names: Mapping[str, str]) -> list[ArrayPart]:
        """The images and labels of the files. Raises DataError where one is damaged or another kind of file."""


@dataclass(frozen=True)
class FoundFiles:
    """Files of a form that are all there.

    Attributes:
        files: Where they are.
        form: Of them.
        names: Each file of the form -> its name.
    """

    files: NamedFiles
    form: PublishedForm
    names: Mapping[str, str]

    def parts(self) -> list[ArrayPart]:
        return self.form.parts(self.files, self.names)


def form_in(files: NamedFiles, forms: Sequence[PublishedForm]) -> FoundFiles | None:
    """The first form whose files are all there, None where there are none. Raises DataError where some are missing."""
    lacking: list[str] = []
    for form in forms:
        found = form.wanted(files.names)
        if all(found.values()):
            return FoundFiles(files, form, {key: name for key, name in found.items() if name is not None})
        if any(found.values()) and not lacking:
            lacking = [key for key, name in found.items() if name is None]
    if lacking:
        named = ", ".join(lacking[:MOST_NAMED]) + (", …" if len(lacking) > MOST_NAMED else "")
        raise DataError(f"{shown(files.root)}: lacks {named}: put what is missing beside the others")
    return None


def labelled_part(
    name: str, pixels: Array, labels: Array, classes: Sequence[str], *, split: SplitName, place: str
) -> ArrayPart:
    """Images (n, …) with labels (n,), numbers of classes.

    Args:
        name: Of the array, in the names of its examples.
        pixels: Images.
        labels: Of each.
        classes: By number.
        split: That they belong to.
        place: The file of the labels, for messages.

    Raises:
        DataError: no images, or labels that are no numbers of their classes.
    """
    if len(labels) != len(pixels) or labels.dtype.kind not in "ui":
        raise DataError(f"{place}: {len(labels):,} labels for {len(pixels):,} images: {AGAIN}")
    if len(labels) == 0:
        raise DataError(f"{place}: no images in it: {AGAIN}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes):
        raise DataError(f"{place}: labels from {low} to {high} for {len(classes)} classes: {AGAIN}")
    return ArrayPart(name, InMemoryRows(pixels), split, [classes[label] for label in labels.tolist()])


@dataclass(frozen=True)
class NpzForm(PublishedForm):
    """An `.npz` with x_train, y_train, x_test and y_test.

    Attributes:
        name: Of the file.
        shape: (height, width, channels) of an image.
        classes: By number; labels are numbers or names of these.
    """

    name: str
    shape: tuple[int, int, int]
    classes: Sequence[str]

    def wanted(self, names: Collection[str]) -> Mapping[str, str | None]:
        return {self.name: self.name if self.name in names else None}

    def parts(self, files: NamedFiles, names: Mapping[str, str]) -> list[ArrayPart]:
        path = files.root / self.name
        arrays = npz_arrays(files, self.name)
        parts = []
        for split, (x, y) in examples_of(list(arrays), path).items():
            if y is None:
                raise DataError(f"{shown(path)}: no labels beside {shown(x)}: call them y_{split or 'train'}")
            pixels = arrays[x]
            require_shape(pixels, self.shape, f"{shown(path)}: {shown(x)}")
            labels = class_names(arrays[y], len(pixels), f"{shown(path)}: {shown(y)}")
            parts.append(ArrayPart(x, InMemoryRows(pixels), split, named(labels, self.classes, shown(path))))
        return parts


def npz_arrays(files: NamedFiles, name: str) -> dict[str, Array]:
    """The arrays of an `.npz`. Raises DataError where it is damaged."""
    path, data = files.root / name, files.read(name)
    with array_errors(path):
        found = ArrayFile(path, io.BytesIO(data))
        if found.archive is None:
            raise found.unreadable("not an .npz")
        return {array: found.read(array) for array in found.names}


def only_array(files: NamedFiles, name: str) -> Array:
    """The array of an `.npz` that has one. Raises DataError."""
    arrays = npz_arrays(files, name)
    if len(arrays) != 1:
        raise DataError(f"{files.place(name)}: {len(arrays)} arrays, not one: {AGAIN}")
    return next(iter(arrays.values()))


def require_shape(pixels: Array, shape: tuple[int, int, int], place: str) -> None:
    """Raises DataError, which begins with `place`, for arrays that are no images of (height, width, channels)."""
    height, width, channels = shape
    fine = [(height, width, channels), (channels, height, width)] + ([(height, width)] if channels == 1 else [])
    if pixels.dtype != np.uint8 or pixels.shape[1:] not in fine or len(pixels) == 0:
        raise DataError(
            f"{place}: {pixels.dtype} {str(pixels.shape)[:60]}, not uint8 (n, {height}, {width}, {channels}): "
            "data=arrays reads images of any size"
        )


def named(labels: Sequence[str], classes: Sequence[str], place: str) -> list[str]:
    """Labels that are names of classes, or all of them numbers, as names. Raises DataError for others."""
    if set(labels) <= set(classes):
        return list(labels)
    number = {str(i): name for i, name in enumerate(classes)}
    odd = next((label for label in labels if label not in number), None)
    if odd is not None:
        raise DataError(f"{place}: the label {shown(odd)} is none of the {len(classes)} classes: {AGAIN}")
    return [number[label] for label in labels]

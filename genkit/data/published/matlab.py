"""The MATLAB files of SVHN's cropped digits: X (32, 32, 3, n) and y (n, 1), in which the digit 0 has the label 10."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genkit.data.array_parts import ArrayPart
from genkit.data.dataset import SplitName
from genkit.data.published.files import AGAIN, NamedFiles
from genkit.data.published.forms import PublishedForm, labelled_part
from genkit.errors import DataError

TEN = 10  # what MATLAB, which counts from one, calls zero


@dataclass(frozen=True)
class MatlabForm(PublishedForm):
    """A file for each split.

    Attributes:
        files: Split -> its file.
        side: Of the images, in pixels.
        classes: By number.
    """

    files: Mapping[SplitName, str]
    side: int
    classes: Sequence[str]

    def wanted(self, names: Collection[str]) -> Mapping[str, str | None]:
        return {name: name if name in names else None for name in self.files.values()}

    def parts(self, files: NamedFiles, names: Mapping[str, str]) -> list[ArrayPart]:
        return [self._part(files, name, split) for split, name in self.files.items()]

    def _part(self, files: NamedFiles, name: str, split: SplitName) -> ArrayPart:
        from scipy.io import loadmat  # a moment, and only here

        data, place = files.read(name), files.place(name)
        try:
            found = loadmat(io.BytesIO(data), variable_names=("X", "y"))
        except Exception as error:  # damaged bytes make the parser raise anything
            raise DataError(f"{place}: no readable MATLAB file ({type(error).__name__}): {AGAIN}") from error
        x, y = found.get("X"), found.get("y")
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.shape[:3] != (self.side, self.side, 3):
            raise DataError(f"{place}: no array X of bytes ({self.side}, {self.side}, 3, n) in it: {AGAIN}")
        if x.ndim != 4 or not isinstance(y, np.ndarray) or y.dtype.kind not in "uif" or (y != np.floor(y)).any():
            raise DataError(f"{place}: no labels y of the images X in it: {AGAIN}")
        labels = y.reshape(-1).astype(np.int64)
        images = x.transpose(3, 0, 1, 2)  # MATLAB's order: an image is contiguous as it is
        return labelled_part(split, images, np.where(labels == TEN, 0, labels), self.classes, split=split, place=place)

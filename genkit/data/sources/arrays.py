"""Arrays of the user's: images or vectors in an `.npy`, an `.npz` or a safetensors file, read in parts.

Images are (n, H, W, C), (n, C, H, W) or (n, H, W): levels 0 … 255, or numbers from `data.range`, see
`genkit.data.images.pixel_arrays`. Vectors are (n, D) or (n,), real numbers. Which arrays are examples and which labels,
and of what split, is said in `genkit.data.array_parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.array_parts import ADVICE, ArrayPart, array_parts
from genkit.data.batch_size import default_batch_size
from genkit.data.framed_images import EVAL_N
from genkit.data.images.class_labels import NONE
from genkit.data.images.framing import Crop, Interpolation
from genkit.data.images.pixel_arrays import PixelArrays
from genkit.data.images.preparation import ImageOptions
from genkit.data.images.survey import Channels
from genkit.data.kinds import Interval, Real
from genkit.data.on_disk import aloud
from genkit.data.other_source import instead
from genkit.data.prepared import Writer, prepare
from genkit.data.prepared_images import PreparedImages
from genkit.data.root import find_root
from genkit.data.source_files import SourceFiles
from genkit.data.source_state import content_hash_of
from genkit.data.spec import DataSpec
from genkit.data.vectors import write_vectors
from genkit.errors import ConfigError, DataError
from genkit.printing import shown

RULES = 1  # of how vectors are made; raised when these change, and all data is prepared again
Side = Annotated[int, Range(1, 4096)]
Bound = Annotated[float, Range(-1e12, 1e12)]


class Arrays(PreparedImages):
    """Images or vectors in a file of arrays.

    Args:
        root: `.npy`, `.npz` or `.safetensors`; null means $GENKIT_DATA.
        range: [lo, hi]: of images, the values of black and white (null: levels 0 … 255); of vectors, an interval that
            all values lie in.
        labels: "none", an `.npy` with a label for each example; null: those of the file, if it has any.
        standardise: Whether models see the columns of vectors with mean 0 and standard deviation 1. Samples, scores
            of likelihood and files stay in the data's own units.
        size: Side of the square images, or [height, width], in pixels; null: by what the images are.
        crop: "centre": the middle of each in the proportions of the size; "random": a random window of a frame 9/8 as
            large in training, the middle elsewhere; "none": the whole image, squeezed.
        channels: 1 or 3; "auto": grey if every image is.
        interpolation: Filter of resizing: "bicubic", "lanczos", "bilinear", "box" or "nearest".
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        max_bad: Examples that cannot be used and are left out, beyond which there is an error.
        batch_size: Examples in one training micro-batch; null: by their size.

    Raises:
        DataError: no such file, none of this kind, or too little of it can be used.
        ConfigError: an option of images for vectors, or a range that is none.
        StorageError: the disk has no room for the arrays.
    """

    def __init__(
        self,
        root: str | None = None,
        range: tuple[Bound, Bound] | None = None,
        labels: str | None = None,
        standardise: bool = True,
        size: Side | tuple[Side, Side] | None = None,
        crop: Crop = "centre",
        channels: Channels = "auto",
        interpolation: Interpolation = "bicubic",
        flip: bool = False,
        shift: NonNegativeInt = 0,
        max_bad: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        path = find_root(root, "arrays", ADVICE)
        if range is not None and not range[0] < range[1]:
            raise ConfigError(f"data.range=[{range[0]:g},{range[1]:g}]: give [lo,hi] with lo < hi")
        if path.is_dir():
            raise DataError(f"{shown(path)}: a folder: {ADVICE}{instead(path, 'arrays')}")
        parts = array_parts(path, labels)
        chosen = [Path(labels).expanduser()] if labels not in (None, NONE) else []
        files = SourceFiles(path, [path, *chosen], ["arrays", range, labels == NONE])
        if all(len(part.rows.shape) <= 2 for part in parts):
            asked = {"flip": flip, "shift": shift, "size": size}
            wrong = next((name for name, value in asked.items() if value), None)
            if wrong is not None:
                raise ConfigError(f"data.{wrong}: is for images, and {shown(path)} holds vectors: leave it out")
            self._become_vectors(parts, files, range, standardise, max_bad, batch_size)
            return
        sides = (size, size) if isinstance(size, int) else size
        options = ImageOptions(sides, crop, interpolation, channels, NONE if labels == NONE else None, max_bad)
        super().__init__(
            path,
            lambda: PixelArrays(parts, files, range),
            options,
            batch_size=batch_size,
            flip=flip,
            shift=shift,
        )

    def _become_vectors(
        self,
        parts: Sequence[ArrayPart],
        files: SourceFiles,
        value_range: Interval | None,
        standardise: bool,
        max_bad: int,
        batch_size: int | None,
    ) -> None:
        self.flip, self.shift, self.random_window = False, 0, False
        facts = {
            "rules": RULES,
            "vectors": content_hash_of(files.root, files.state(), files.content),
            "max_bad": max_bad,
        }

        def make(writer: Writer) -> None:
            aloud(f"{files.name}: preparing {sum(len(part.rows) for part in parts):,} vectors")
            write_vectors(writer, parts, facts, value_range=value_range, max_bad=max_bad, source=files.name)

        self.prepared = prepare(facts, make, source=str(files.root.absolute()))
        about = self.prepared.about
        self.class_names = tuple(about["classes"])
        kind = Real(mean=tuple(about["mean"]), std=tuple(about["std"])) if standardise else Real(value_range)
        self.spec = DataSpec(tuple(about["shape"]), "vector", kind=kind, num_classes=len(self.class_names) or None)
        self.batch_size = batch_size or default_batch_size(self.spec)
        self.splits = dict(self.prepared.splits)
        self.eval_n = min(EVAL_N, len(self.splits["train"]))
        aloud(f"{files.name}: {about['line']}{', standardised' if standardise else ''}")

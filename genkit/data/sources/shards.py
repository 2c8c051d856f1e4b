"""Images in shards: a few large files that are read by offset and decoded when they are asked for.

For data that is larger than the disk that prepared arrays would lie on. A shard is a zip without compression, as
`genkit data shard` writes them, where the first folder of an entry's name is its class; or a Parquet file as those of
Hugging Face `datasets`, of which a row group is read at a time. Shards called train-…, val-… and
test-… are these splits; else each image's split is that of the hash of its bytes. See `genkit.data.epoch_order` for the
order, which depends neither on the number of threads nor on that of processes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.framed_images import FramedImages
from genkit.data.images.framing import Crop, Interpolation
from genkit.data.images.preparation import ImageOptions
from genkit.data.images.survey import Channels
from genkit.data.on_disk import aloud
from genkit.data.provenance import Provenance
from genkit.data.root import find_root
from genkit.data.shards.indexing import index_folder
from genkit.data.shards.shard_images import WANTED, Reading, ShardImages
from genkit.data.shards.workers import default_workers
from genkit.printing import shown

Side = Annotated[int, Range(1, 4096)]


class Shards(FramedImages):
    """Images in shards, of any size and kind.

    Args:
        root: Folder of shards, or one; null means $GENKIT_DATA.
        size: Side of the square images, or [height, width], in pixels; null: by what the images are.
        crop: "centre": the middle of each in the proportions of the size; "random": a random window of a frame 9/8 as
            large in training, the middle elsewhere; "none": the whole image, squeezed.
        channels: 1 or 3; "auto": grey if every image is.
        interpolation: Filter of resizing: "bicubic", "lanczos", "bilinear", "box" or "nearest".
        labels: "folder": the first folder of an entry's name, or its row in the entry `labels.csv`; "none"; null: where
            there are two classes or more.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        max_bad: Images that cannot be used and are left out, beyond which there is an error.
        batch_size: Images in one training micro-batch; null: by their size.
        window: Images that an epoch mixes with each other; of Parquet files, at most as many as 512 MiB hold.
        check: Whether each image is decoded once when its shard is first seen; else one that cannot be ends the
            training that comes to it.
        workers: Threads that decode; null: one for each core, at most 8.

    Raises:
        DataError: no shards, damaged ones, or too much in them that cannot be used.
    """

    def __init__(
        self,
        root: str | None = None,
        size: Side | tuple[Side, Side] | None = None,
        crop: Crop = "centre",
        channels: Channels = "auto",
        interpolation: Interpolation = "bicubic",
        labels: Literal["folder", "none"] | None = None,
        flip: bool = False,
        shift: NonNegativeInt = 0,
        max_bad: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
        window: PositiveInt = 65536,
        check: bool = True,
        workers: Annotated[int, Range(1, 256)] | None = None,
    ) -> None:
        path = find_root(root, "shards", WANTED)
        sides = (size, size) if isinstance(size, int) else size
        options = ImageOptions(sides, crop, interpolation, channels, labels, max_bad)
        self.images = ShardImages(path, options, Reading(window, workers or default_workers(), check))
        self.index_folder = index_folder(path)
        super().__init__(
            self.images.splits,
            self.images.frame,
            self.images.class_names,
            batch_size=batch_size,
            flip=flip,
            shift=shift,
        )
        aloud(f"{shown(path)}: {self.images.line}")

    @property
    def provenance(self) -> Provenance:
        folder = self.index_folder if self.index_folder.is_dir() else None
        return Provenance(folder, self.class_names, self.images.bad, self.images.names)

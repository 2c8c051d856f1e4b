"""Images of a Hugging Face dataset: a folder of `save_to_disk`, Parquet files on disk, or a name to fetch.

`data.root=` is read with pyarrow alone. `data.name=owner/name` asks the library `datasets`, which fetches what it
does not have; nothing else fetches here. See `genkit.data.images.row_images` for columns and classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.images.class_labels import NONE
from genkit.data.images.framing import Crop, Interpolation
from genkit.data.images.layout import SPLITS
from genkit.data.images.preparation import ImageOptions
from genkit.data.images.row_images import INSTALL, WANTED, RowImages, row_files
from genkit.data.images.split_files import SplitFile
from genkit.data.images.survey import Channels
from genkit.data.prepared_images import PreparedImages
from genkit.data.root import find_root
from genkit.errors import ConfigError, DataError
from genkit.printing import shown

Side = Annotated[int, Range(1, 4096)]


class Hub(PreparedImages):
    """Images of a Hugging Face dataset.

    Args:
        root: Folder that `save_to_disk` wrote, folder of Parquet files, or one file; null means $GENKIT_DATA.
        name: "owner/name" of a dataset to fetch by the library `datasets`, instead of `root`.
        image: Column of images; null: the one that it can be.
        labels: Column of labels, or "none"; null: the usual one, if there is one.
        size: Side of the square images, or [height, width], in pixels; null: by what the images are.
        crop: "centre": the middle of each in the proportions of the size; "random": a random window of a frame 9/8 as
            large in training, the middle elsewhere; "none": the whole image, squeezed.
        channels: 1 or 3; "auto": grey if every image is.
        interpolation: Filter of resizing: "bicubic", "lanczos", "bilinear", "box" or "nearest".
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        max_bad: Images that cannot be used and are left out, beyond which there is an error.
        batch_size: Images in one training micro-batch; null: by their size.

    Raises:
        ConfigError: pyarrow or datasets is needed and not installed.
        DataError: nothing there, nothing to fetch, or too much of it cannot be used.
        StorageError: the disk has no room for the arrays.
    """

    def __init__(
        self,
        root: str | None = None,
        name: str | None = None,
        image: str | None = None,
        labels: str | None = None,
        size: Side | tuple[Side, Side] | None = None,
        crop: Crop = "centre",
        channels: Channels = "auto",
        interpolation: Interpolation = "bicubic",
        flip: bool = False,
        shift: NonNegativeInt = 0,
        max_bad: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        if name is not None and root is not None:
            raise ConfigError("data.root= and data.name=: give one of them")
        path = Path(name) if name is not None else find_root(root, "hub", WANTED)
        sides = (size, size) if isinstance(size, int) else size
        options = ImageOptions(sides, crop, interpolation, channels, NONE if labels == NONE else None, max_bad)

        def collection() -> RowImages:
            return RowImages(path, row_files(path) if name is None else fetched(name), image, labels)

        super().__init__(path, collection, options, batch_size=batch_size, flip=flip, shift=shift)


def fetched(name: str) -> list[SplitFile]:
    """The files of a dataset that the library `datasets` has or fetches.

    Raises:
        ConfigError: it is not installed.
        DataError: no such dataset, or it cannot be reached.
    """
    try:
        import datasets  # two seconds
    except ImportError as error:
        raise ConfigError(f"data.name={name} needs datasets: {INSTALL}") from error
    try:
        found = datasets.load_dataset(name)
    except Exception as error:  # of the network, the file system or the dataset
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(
            f"data.name={name}: cannot be fetched ({said}): put its Parquet files into a folder and give "
            "data.root=FOLDER"
        ) from error
    odd = [split for split in found if split not in SPLITS]
    if odd or "train" not in found:
        splits = ", ".join(map(shown, found))
        raise DataError(
            f"data.name={name}: has the splits {splits}: put the Parquet files of train, and of validation and test if "
            "it has them, into a folder and give data.root=FOLDER"
        )
    return [SplitFile(Path(file["filename"]), SPLITS[split]) for split in found for file in found[split].cache_files]

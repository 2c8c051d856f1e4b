"""Images of the user's: a folder, a `.zip` or a `.tar` of JPEG, PNG, WebP, BMP, GIF or TIFF files.

The first folder is the class, unless the first folders are train, val and test; see `genkit.data.images.layout` for
splits and classes, `survey` for the size that is chosen, `decoding` for how files become pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.images.archive import archive_reader
from genkit.data.images.collection import ImageCollection
from genkit.data.images.folder import FolderImages
from genkit.data.images.framing import Crop, Interpolation
from genkit.data.images.preparation import ImageOptions
from genkit.data.images.survey import Channels
from genkit.data.other_source import instead
from genkit.data.prepared_images import PreparedImages
from genkit.data.root import find_root
from genkit.errors import DataError
from genkit.printing import shown

WANTED = "give data.root=FOLDER, or a .zip or .tar of images"
Side = Annotated[int, Range(1, 4096)]


class Images(PreparedImages):
    """Images of any size and kind, as arrays of one size.

    Args:
        root: Folder, `.zip` or `.tar`; null means $GENKIT_DATA.
        size: Side of the square images, or [height, width], in pixels; null: by what the images are.
        crop: "centre": the middle of each in the proportions of the size; "random": a random window of a frame 9/8 as
            large in training, the middle elsewhere; "none": the whole image, squeezed.
        channels: 1 or 3; "auto": grey if every image is.
        interpolation: Filter of resizing: "bicubic", "lanczos", "bilinear", "box" or "nearest".
        labels: "folder": the first folder; "none"; a CSV file with image and class in each row; null: folders where
            there are two classes or more.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        max_bad: Images that cannot be used and are left out, beyond which there is an error.
        batch_size: Images in one training micro-batch; null: by their size.

    Raises:
        DataError: nothing there, too much of it cannot be used, or too little for three splits.
        StorageError: the disk has no room for the arrays.
    """

    def __init__(
        self,
        root: str | None = None,
        size: Side | tuple[Side, Side] | None = None,
        crop: Crop = "centre",
        channels: Channels = "auto",
        interpolation: Interpolation = "bicubic",
        labels: str | None = None,
        flip: bool = False,
        shift: NonNegativeInt = 0,
        max_bad: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        path = find_root(root, "images", WANTED)
        sides = (size, size) if isinstance(size, int) else size
        options = ImageOptions(sides, crop, interpolation, channels, labels, max_bad)
        super().__init__(path, lambda: collection_of(path), options, batch_size=batch_size, flip=flip, shift=shift)


def collection_of(path: Path) -> ImageCollection:
    """The images in a folder or an archive. Raises DataError for anything else."""
    if path.is_dir():
        return FolderImages(path)
    reader = archive_reader(path)
    if reader is None:
        raise DataError(f"{shown(path)}: neither a folder nor a .zip or .tar: {WANTED}{instead(path, 'images')}")
    return reader(path)

"""CIFAR-10: 60,000 colour images of 32x32 pixels in ten classes, 50,000 of them for training.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Read from images in class folders
below `train` and `test`, in a folder or an archive. Validation is a tenth of the training images, by content.
"""

from __future__ import annotations

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.images.preparation import ImageOptions
from genkit.data.prepared_images import PreparedImages
from genkit.data.root import find_inside, find_root
from genkit.data.sources.images import collection_of

NAMES = ("cifar10", "cifar10.zip", "cifar10.tar", "cifar10_jpeg.zip", "cifar10_png.zip", "CIFAR-10-images")
WANTED = (
    "put cifar10.zip or a folder cifar10, with images in train/CLASS and test/CLASS, into a folder and give "
    "data.root=FOLDER"
)
SIDE = 32


class CIFAR10(PreparedImages):
    """CIFAR-10, (3, 32, 32) in 256 levels.

    Args:
        root: Folder or archive of the images, or a folder with one; null means $GENKIT_DATA.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        batch_size: Images in one training micro-batch; null: by their size.

    Raises:
        DataError: it is not there.
    """

    features = "cifar"

    def __init__(
        self,
        root: str | None = None,
        flip: bool = True,
        shift: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        path = find_inside(find_root(root, "cifar10", WANTED), NAMES)
        options = ImageOptions((SIDE, SIDE), channels=3, labels="folder")
        super().__init__(path, lambda: collection_of(path), options, batch_size=batch_size, flip=flip, shift=shift)

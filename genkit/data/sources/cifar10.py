"""CIFAR-10: 60,000 colour images of 32x32 pixels in ten classes, 50,000 of them for training.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Read from the binary version or the
Python version, in a folder or a `.tar.gz`, or from pictures in class folders below `train` and `test`.
"""

from __future__ import annotations

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.published.benchmark import Benchmark, BenchmarkImages
from genkit.data.published.cifar import SIDE, CifarBinary, CifarPickles
from genkit.data.published.download import downloads
from genkit.data.published.forms import NpzForm

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (SIDE, SIDE, 3)
FILES = (tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",))
CIFAR10_FILES = Benchmark(
    "cifar10",
    SHAPE,
    CLASSES,
    (CifarBinary(*FILES, CLASSES), CifarPickles(*FILES, CLASSES), NpzForm("cifar10.npz", SHAPE, CLASSES)),
    wanted="put cifar-10-binary.tar.gz or cifar-10-python.tar.gz, or pictures in train/CLASS and test/CLASS as "
    "cifar10.zip or a folder cifar10, into a folder and give data.root=FOLDER",
    folders=("", "cifar-10-batches-bin", "cifar-10-batches-py", "cifar10", "cifar10/cifar-10-batches-py"),
    archives=("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"),
    pictures=("cifar10", "cifar10.zip", "cifar10.tar", "cifar10_jpeg.zip", "cifar10_png.zip", "CIFAR-10-images"),
    downloads=downloads(
        "https://www.cs.toronto.edu/~kriz/",
        [
            (
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            )
        ],
    ),
)


class CIFAR10(BenchmarkImages):
    """CIFAR-10, (3, 32, 32) in 256 levels.

    Args:
        root: Folder with the original files or with pictures, an archive of either, or one of the files; null means
            $GENKIT_DATA.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        batch_size: Images in one training micro-batch; null: by their size.
        download: Whether the original files are fetched where they are not there.

    Raises:
        DataError: it is not there, cannot be fetched, or a file is damaged.
    """

    features = "cifar"

    def __init__(
        self,
        root: str | None = None,
        flip: bool = True,
        shift: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(CIFAR10_FILES, root, download=download, batch_size=batch_size, flip=flip, shift=shift)

"""Fashion-MNIST: 70,000 grey images of 28x28 pixels of clothes in ten classes, 60,000 of them for training.

Source: Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms,
2017 (1708.07747). Read from the four IDX files, gzipped or not, from `fashion_mnist.npz`, or from pictures in class
folders below `train` and `test`.
"""

from __future__ import annotations

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.published.benchmark import Benchmark, BenchmarkImages
from genkit.data.published.forms import NpzForm
from genkit.data.published.idx import SHAPE, IdxForm

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
FASHION_MNIST_FILES = Benchmark(
    "fashion_mnist",
    SHAPE,
    CLASSES,
    (IdxForm(CLASSES), NpzForm("fashion_mnist.npz", SHAPE, CLASSES)),
    wanted="put the four IDX files (train-images-idx3-ubyte.gz …) into a folder fashion_mnist, and that, or "
    "fashion_mnist.npz, into a folder, and give data.root=FOLDER",
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", ""),
    archives=("fashion_mnist.zip", "fashion-mnist.zip"),
    pictures=("fashion_mnist", "fashion-mnist"),
    own_names=False,
)


class FashionMNIST(BenchmarkImages):
    """Fashion-MNIST, (1, 28, 28) in 256 levels.

    Args:
        root: Folder with the original files or with pictures, an archive of either, or one of the files; null means
            $GENKIT_DATA.
        flip: Whether training images are flipped left to right (shoes show their toes to the left).
        shift: Training images move by up to so many pixels each way, black coming in.
        batch_size: Images in one training micro-batch; null: by their size.

    Raises:
        DataError: it is not there, or a file is damaged.
    """

    def __init__(
        self,
        root: str | None = None,
        flip: bool = False,
        shift: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        super().__init__(FASHION_MNIST_FILES, root, batch_size=batch_size, flip=flip, shift=shift)

"""Fashion-MNIST: 70,000 grey images of 28x28 pixels of clothes in ten classes, 60,000 of them for training.

Source: Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms,
2017 (1708.07747). Read from the four IDX files, gzipped or not, from `fashion_mnist.npz`, or from pictures in class
folders below `train` and `test`.
"""

from __future__ import annotations

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.published.benchmark import Benchmark, BenchmarkImages
from genkit.data.published.download import downloads
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
    downloads=downloads(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        [
            (
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            (
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
    ),
    home="fashion_mnist",
)


class FashionMNIST(BenchmarkImages):
    """Fashion-MNIST, (1, 28, 28) in 256 levels.

    Args:
        root: Folder with the original files or with pictures, an archive of either, or one of the files; null means
            $GENKIT_DATA.
        flip: Whether training images are flipped left to right (shoes show their toes to the left).
        shift: Training images move by up to so many pixels each way, black coming in.
        batch_size: Images in one training micro-batch; null: by their size.
        download: Whether the original files are fetched where they are not there.

    Raises:
        DataError: it is not there, cannot be fetched, or a file is damaged.
    """

    def __init__(
        self,
        root: str | None = None,
        flip: bool = False,
        shift: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(FASHION_MNIST_FILES, root, download=download, batch_size=batch_size, flip=flip, shift=shift)

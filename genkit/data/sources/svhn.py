"""SVHN: 99,289 colour images of 32x32 pixels of digits from house numbers, cropped, 73,257 of them for training.

Source: Netzer, Wang, Coates, Bissacco, Wu and Ng, Reading Digits in Natural Images with Unsupervised Feature Learning,
2011. Read from `train_32x32.mat` and `test_32x32.mat`, or from pictures in class folders below `train` and `test`. The
531,131 easier images of `extra_32x32.mat` are left out.
"""

from __future__ import annotations

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.published.benchmark import Benchmark, BenchmarkImages
from genkit.data.published.download import downloads
from genkit.data.published.forms import NpzForm
from genkit.data.published.matlab import MatlabForm

SIDE = 32
SHAPE = (SIDE, SIDE, 3)
CLASSES = tuple("0123456789")
SVHN_FILES = Benchmark(
    "svhn",
    SHAPE,
    CLASSES,
    (
        MatlabForm({"train": "train_32x32.mat", "test": "test_32x32.mat"}, SIDE, CLASSES),
        NpzForm("svhn.npz", SHAPE, CLASSES),
    ),
    wanted="put train_32x32.mat and test_32x32.mat, or pictures in train/DIGIT and test/DIGIT as svhn.zip or a folder "
    "svhn, into a folder and give data.root=FOLDER",
    folders=("", "svhn", "SVHN"),
    pictures=("svhn", "svhn.zip", "svhn.tar"),
    downloads=downloads(
        "http://ufldl.stanford.edu/housenumbers/",
        [
            (
                "train_32x32.mat",
                182_040_794,
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            ),
            (
                "test_32x32.mat",
                64_275_384,
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ],
    ),
)


class SVHN(BenchmarkImages):
    """SVHN's cropped digits, (3, 32, 32) in 256 levels.

    Args:
        root: Folder with the original files or with pictures, an archive of either, or one of the files; null means
            $GENKIT_DATA.
        flip: Whether training images are flipped left to right (a flipped digit is mostly no digit).
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
        super().__init__(SVHN_FILES, root, download=download, batch_size=batch_size, flip=flip, shift=shift)

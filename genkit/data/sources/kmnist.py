"""KMNIST: 70,000 grey images of 28x28 pixels of cursive Japanese characters in ten classes, 60,000 for training.

Source: Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha, Deep Learning for Classical Japanese Literature, 2018
(1812.01718). Read from the four IDX files, gzipped or not, from the four `.npz` files, or from pictures in class
folders below `train` and `test`. A class is a syllable in Latin letters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.array_parts import ArrayPart
from genkit.data.dataset import SplitName
from genkit.data.published.benchmark import Benchmark, BenchmarkImages
from genkit.data.published.download import downloads
from genkit.data.published.files import NamedFiles
from genkit.data.published.forms import NpzForm, PublishedForm, labelled_part, only_array, require_shape
from genkit.data.published.idx import SHAPE, IdxForm

CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
SPLITS: tuple[SplitName, ...] = ("train", "test")


@dataclass(frozen=True)
class FourNpz(PublishedForm):
    """`kmnist-train-imgs.npz`, `kmnist-train-labels.npz` and the same of the test split, each of one array.

    Attributes:
        classes: By number.
    """

    classes: Sequence[str]

    def wanted(self, names: Collection[str]) -> Mapping[str, str | None]:
        files = [f"kmnist-{split}-{what}.npz" for split in SPLITS for what in ("imgs", "labels")]
        return {name: name if name in names else None for name in files}

    def parts(self, files: NamedFiles, names: Mapping[str, str]) -> list[ArrayPart]:
        return [self._part(files, split) for split in SPLITS]

    def _part(self, files: NamedFiles, split: SplitName) -> ArrayPart:
        x, y = (f"kmnist-{split}-{what}.npz" for what in ("imgs", "labels"))
        images, labels = (only_array(files, name) for name in (x, y))
        require_shape(images, SHAPE, files.place(x))
        return labelled_part(split, images, labels, self.classes, split=split, place=files.place(y))


KMNIST_FILES = Benchmark(
    "kmnist",
    SHAPE,
    CLASSES,
    (IdxForm(CLASSES), FourNpz(CLASSES), NpzForm("kmnist.npz", SHAPE, CLASSES)),
    wanted="put the four IDX files (train-images-idx3-ubyte.gz …) or the four kmnist-….npz into a folder kmnist, that "
    "into a folder, and give data.root=FOLDER",
    folders=("kmnist", "KMNIST/raw", ""),
    archives=("kmnist.zip",),
    pictures=("kmnist",),
    own_names=False,
    downloads=downloads(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        [
            (
                "train-images-idx3-ubyte.gz",
                18_165_135,
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            ),
            (
                "train-labels-idx1-ubyte.gz",
                29_497,
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                3_041_136,
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                5_120,
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ],
    ),
    home="kmnist",
)


class KMNIST(BenchmarkImages):
    """KMNIST, (1, 28, 28) in 256 levels.

    Args:
        root: Folder with the original files or with pictures, an archive of either, or one of the files; null means
            $GENKIT_DATA.
        flip: Whether training images are flipped left to right (a flipped character is none).
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
        super().__init__(KMNIST_FILES, root, download=download, batch_size=batch_size, flip=flip, shift=shift)

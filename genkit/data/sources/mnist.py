"""MNIST from a file of the user's: 28x28 handwritten digits, 60,000 training and 10,000 test images.

Source: LeCun, Cortes and Burges, 1998. Either of two forms is read, from `data.root=` or from $GENKIT_DATA, a folder
or a file in it:

* `mnist.npz` with the arrays x_train, y_train, x_test, y_test (Keras' layout), never unpickled;
* the four original IDX files, optionally gzipped.

Validation is the last twelfth of the training images, 5,000 of 60,000.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from genkit.component import PositiveInt, Range
from genkit.data.binarization import Binarize
from genkit.data.dataset import IMAGE_BATCH, SplitName
from genkit.data.derived_pairs import Pairing
from genkit.data.grey_images import GreyImages
from genkit.data.published.download import downloads, fetch_missing, root_of_downloads
from genkit.data.published.files import FolderFiles
from genkit.data.published.idx import ARRAYS, LARGEST, idx_array, idx_names, published_name
from genkit.data.root import find_root
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.errors import DataError
from genkit.storage.regular import read_regular

SIDE = 28
CLASSES = 10
LEVELS = 256
NPZ = "mnist.npz"
FOLDERS = ("", "mnist", "MNIST", "MNIST/raw")  # below the root; the last is torchvision's
WANTED = (
    f"put {NPZ} or the four IDX files (train-images-idx3-ubyte …) into a folder and give data.root=FOLDER, or "
    "data.download=true"
)

HOME = "mnist"  # folder below the root that fetched files go to
DOWNLOADS = downloads(
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    [
        (
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ],
)

Arrays = dict[str, np.ndarray]


def fetched(root: str | None) -> str:
    """The place of MNIST, whose files are fetched where there are none. Raises DataError where they cannot be."""
    path = root_of_downloads(root)
    there = path.is_file() or any(
        (path / name / NPZ).is_file() or len(idx_in(path / name)) == len(ARRAYS) for name in FOLDERS
    )
    if not there:
        fetch_missing(DOWNLOADS, path / HOME)
    return str(path)


def read_arrays(root: Path) -> Arrays:
    """The four arrays from `root`: an .npz file, one of the IDX files, or a folder with either."""
    if root.is_file():
        return read_npz(root) if root.suffix == ".npz" else read_idx_files(root.parent, idx_in(root.parent))
    for folder in (root / name for name in FOLDERS):
        if (folder / NPZ).is_file():
            return read_npz(folder / NPZ)
        if names := idx_in(folder):
            return read_idx_files(folder, names)
    raise DataError(f"mnist: nothing to read in {root}; {WANTED}")


def read_npz(path: Path) -> Arrays:
    """The four arrays of an .npz file; raises DataError with its path where one is missing or cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ARRAYS}
    except KeyError as error:
        raise DataError(f"mnist: {path} lacks an array; it must hold {', '.join(ARRAYS)}") from error
    except Exception as error:  # damaged bytes make numpy's parsers raise anything, a TokenError for one
        raise DataError(
            f"mnist: {path} cannot be read ({type(error).__name__}): damaged or no .npz; replace it"
        ) from error


def idx_in(folder: Path) -> dict[str, str]:
    """Array -> name of its IDX file, of those that are in a folder."""
    return idx_names(FolderFiles(folder).names) if folder.is_dir() else {}


def read_idx_files(folder: Path, names: Mapping[str, str]) -> Arrays:
    """The four arrays of IDX files; raises DataError naming those that are missing."""
    missing = [published_name(array) for array in ARRAYS if array not in names]
    if missing:
        raise DataError(f"mnist: {folder} lacks {', '.join(missing)}; put it there, plain or as .gz")
    return {
        array: idx_array(read_regular(folder / names[array], LARGEST), dims, str(folder / names[array]))
        for array, (_, dims) in ARRAYS.items()
    }


def to_split(arrays: Arrays, part: str, source: Path) -> InMemory:
    """The images (N, 1, 28, 28) uint8 and labels (N,) int64 of "train" or "test", checked."""
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if x.dtype != np.uint8 or x.shape[1:] != (SIDE, SIDE):
        raise DataError(f"mnist: x_{part} of {source} is {x.dtype} {x.shape}, not uint8 (N, 28, 28); replace the file")
    if not np.issubdtype(y.dtype, np.integer) or y.shape != x.shape[:1]:
        raise DataError(f"mnist: y_{part} of {source} is {y.dtype} {y.shape}, not {len(x)} integers; replace the file")
    if len(y) < 2 or y.min() < 0 or y.max() >= CLASSES:
        raise DataError(f"mnist: y_{part} of {source} must hold two labels or more, each in 0 … 9; replace the file")
    return InMemory(torch.from_numpy(x)[:, None], torch.from_numpy(y.astype(np.int64)))


class MNIST(GreyImages):
    """28x28 digits in 256 levels, (1, 28, 28) in [−1, 1), ten classes.

    Scores take 10,000 samples against the test split, and their floor is training against test images.

    Args:
        root: Folder or file; null means $GENKIT_DATA.
        batch_size: Images in one training micro-batch.
        flip: Whether training images are flipped left to right (a flipped digit is mostly no digit).
        shift: Training images move by up to so many pixels each way, the background coming in.
        binarize: "none"; "threshold" at half intensity; "dynamic": a pixel is on with its intensity as probability,
            redrawn every epoch (one fixed draw for validation, test and floors). Binary images have 2 levels.
        pairs: What of a digit it is to be made from: "blur", "low_resolution", "edges", "inverted"; "none": no pairs.
        unpaired: Whether training knows no pairs: what is given is derived from other digits than are to be made.
        download: Whether the files are fetched where they are not there.

    Raises:
        DataError: a file is missing, damaged, cannot be fetched, or is not MNIST.
    """

    features = "mnist"
    spec = DataSpec(
        shape=(1, SIDE, SIDE), modality="image", value_range=(-1.0, 1.0), levels=LEVELS, num_classes=CLASSES
    )

    def __init__(
        self,
        root: str | None = None,
        batch_size: PositiveInt = IMAGE_BATCH,
        flip: bool = False,
        shift: Annotated[int, Range(0, SIDE - 1)] = 0,
        binarize: Binarize = "none",
        pairs: Pairing = "none",
        unpaired: bool = False,
        download: bool = False,
    ) -> None:
        super().__init__(
            LEVELS, batch_size=batch_size, flip=flip, shift=shift, binarize=binarize, pairs=pairs, unpaired=unpaired
        )
        path = find_root(fetched(root) if download else root, "mnist", WANTED)
        arrays = read_arrays(path)
        train, test = to_split(arrays, "train", path), to_split(arrays, "test", path)
        first = len(train) - max(1, len(train) // 12)
        order = torch.arange(len(train))
        found: dict[SplitName, InMemory] = {"train": train[order[:first]], "val": train[order[first:]], "test": test}
        self.grey = self.paired(found["train"], "train")
        fixed = {name: InMemory(self.binarization.fixed(part.x, name), part.y) for name, part in found.items()}
        self.splits = {name: self.paired(part, name) for name, part in fixed.items()}
        self.eval_n = min(10_000, len(test))

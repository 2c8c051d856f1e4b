"""Pairs of images of the user's, one to be made from the other: two folders with files of the same names, or an `.npz`.

* Folders: `data.root=` holds the images that are to be made, `data.pairs=` those that are given; files belong together
  whose paths below either are equal but for the ending.
* An `.npz`: `data.root=` with the arrays `x`, to be made, and `c`, given, (n, H, W) or (n, H, W, C) uint8, row by row.

A tenth of the pairs is for validation, a tenth for test; which, a seed in this file says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.augmentation import flip_and_shift
from genkit.data.batch_size import default_batch_size
from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset, SplitName
from genkit.data.images.decoding import BadImage, Pixels
from genkit.data.images.folder import FolderImages
from genkit.data.images.framing import Frame
from genkit.data.root import find_root
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.errors import DataError
from genkit.noise import generator_of
from genkit.printing import shown

WANTED = "give data.root=FOLDER data.pairs=FOLDER with files of the same names, or an .npz with the arrays x and c"
LARGEST = 128  # pixels across, up to which images that all have one size keep it
USUAL = 64  # pixels across of others
LEVELS = 256
LEAST = 10  # pairs: one at least for validation and for test
Side = Annotated[int, Range(1, 1024)]


class Pairs(Dataset):
    """Pairs of images in memory.

    Args:
        root: Folder of the images to be made, or an `.npz` of both; null means $GENKIT_DATA.
        pairs: Folder of the images that are given.
        size: Side of the square images in pixels; null: their own if all have one of up to 128, else 64.
        channels: 1 or 3 of both; null: grey if every image is.
        unpaired: Whether the two folders are of two domains whose files do not belong together; of the larger one only
            as many as there are in the other are taken.
        flip: Whether both images of a training pair are flipped left to right.
        shift: Both move by up to so many pixels each way, black coming in.
        batch_size: Pairs in one training micro-batch; null: by their size.

    Raises:
        DataError: nothing there, an image without its pair, one that cannot be read, or fewer than ten pairs.
    """

    def __init__(
        self,
        root: str | None = None,
        pairs: str | None = None,
        size: Side | None = None,
        channels: Literal[1, 3] | None = None,
        unpaired: bool = False,
        flip: bool = False,
        shift: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        path = find_root(root, "pairs", WANTED)
        made, given = _of_arrays(path) if path.is_file() else _of_folders(path, pairs, unpaired)
        if len(made) < LEAST:
            raise DataError(f"{shown(path)}: {len(made)} pairs: ten or more are needed")
        frame = _frame([*made, *given], size)
        x, c = (_stored(images, frame, channels) for images in (made, given))
        self.flip, self.shift, self.pairs_known = flip, shift, not unpaired
        self.spec = DataSpec(
            shape=tuple(x.shape[1:]), modality="image", value_range=(-1.0, 1.0), levels=LEVELS,
            condition=tuple(c.shape[1:]),
        )  # fmt: skip
        order, part = torch.randperm(len(x), generator=generator_of(0, "pairs")), max(1, len(x) // 10)
        index = dict(zip(("test", "val", "train"), order.split([part, part, len(x) - 2 * part]), strict=True))
        whole = InMemory(x, None, c)
        self.splits: dict[str, InMemory] = {name: whole[rows] for name, rows in index.items()}
        self.batch_size, self.eval_n = batch_size or default_batch_size(self.spec), part

    def split(self, name: SplitName) -> Split:
        return self.splits[name]

    @property
    def random_views(self) -> bool:
        return self.flip or self.shift > 0

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        return flip_and_shift(values, index, stream, flip=self.flip, shift=self.shift)


def _of_folders(root: Path, pairs: str | None, unpaired: bool) -> tuple[list[Pixels], list[Pixels]]:
    if pairs is None:
        raise DataError(f"{shown(root)}: where are the images that are given? {WANTED}")
    other = Path(pairs).expanduser()
    if not other.is_dir():
        raise DataError(f"data.pairs={shown(other)}: no folder: {WANTED}")
    made, given = FolderImages(root), FolderImages(other)
    if unpaired:
        n = min(len(made.names), len(given.names))
        both = (
            torch.randperm(len(images.names), generator=generator_of(0, "unpaired"))[:n] for images in (made, given)
        )
        one, two = (rows.tolist() for rows in both)
        return _decoded(made, one), _decoded(given, two)
    places = {_stem(name): i for i, name in enumerate(given.names)}
    alone = [name for name in made.names if _stem(name) not in places]
    if alone:
        raise DataError(f"{shown(root)}: {shown(alone[0])} has no pair in {shown(other)}: {WANTED}")
    numbers = [places[_stem(name)] for name in made.names]
    return _decoded(made, range(len(made.names))), _decoded(given, numbers)


def _stem(name: str) -> str:
    return str(Path(name).with_suffix(""))


def _decoded(images: FolderImages, numbers: list[int] | range) -> list[Pixels]:
    found = []
    for i in numbers:
        try:
            found.append(images.pixels(i, 3))
        except BadImage as error:
            raise DataError(
                f"{shown(images.root)}: {shown(images.names[i])} cannot be read ({error}): take it out"
            ) from error
    return found


def _of_arrays(path: Path) -> tuple[list[Pixels], list[Pixels]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[name] for name in ("x", "c")]
    except KeyError as error:
        raise DataError(f"{shown(path)}: lacks an array: {WANTED}") from error
    except Exception as error:  # damaged bytes make numpy's parsers raise anything
        raise DataError(f"{shown(path)}: cannot be read ({type(error).__name__}): {WANTED}") from error
    for name, array in zip(("x", "c"), arrays, strict=True):
        if array.dtype != np.uint8 or array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
            raise DataError(
                f"{shown(path)}: {name} is {array.dtype} {array.shape}, not uint8 (n, H, W) or (n, H, W, C)"
            )
    if len(arrays[0]) != len(arrays[1]):
        raise DataError(f"{shown(path)}: {len(arrays[0]):,} images x and {len(arrays[1]):,} images c: as many of each")
    made, given = ([_coloured(image) for image in array] for array in arrays)
    return made, given


def _coloured(image: Pixels) -> Pixels:
    """(H, W) or (H, W, C) as (H, W, 3)."""
    return np.broadcast_to(image if image.ndim == 3 else image[..., None], (*image.shape[:2], 3))


def _frame(images: list[Pixels], size: int | None) -> Frame:
    if size is not None:
        return Frame(size, size)
    sizes = {image.shape[:2] for image in images}
    (height, width), *others = sizes
    return Frame(USUAL, USUAL) if others or max(height, width) > LARGEST else Frame(height, width)


def _stored(images: list[Pixels], frame: Frame, channels: int | None) -> Tensor:
    """(n, C, H, W) uint8."""
    framed = np.stack([frame.apply(np.ascontiguousarray(image)) for image in images])
    grey = channels == 1 or (channels is None and bool((framed == framed[..., :1]).all()))
    if grey:
        framed = framed.mean(3, keepdims=True).round().astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(framed.transpose(0, 3, 1, 2)))

"""The 8x8 handwritten digits that scikit-learn carries: 1,797 images, intensities 0 … 16, no download.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test set), by way of
`sklearn.datasets.load_digits`.

The splits are stratified and fixed by a seed in this file: 899 test, 100 validation, 798 training images. Scores take
n = 898 samples, as many as there are training and validation images together, against the 899 of test; the floor is
made of stratified half-splits of all 1,797 images, since that is the largest pair of equally sized sets there is.
"""

from functools import cache
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import PositiveInt, Range
from genkit.data.binarization import Binarize
from genkit.data.dataset import IMAGE_BATCH, SplitName
from genkit.data.derived_pairs import Pairing
from genkit.data.grey_images import GreyImages
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.errors import DataError
from genkit.noise import generator_of

SPLIT_SEED = 0
TEST_N = 899
VAL_N = 100
LEVELS = 17


def load() -> tuple[Tensor, Tensor]:
    """All images (1797, 1, 8, 8) uint8 and their labels (1797,) int64, in the order of scikit-learn; a new copy."""
    x, y = _parsed()
    return x.clone(), y.clone()


@cache
def _parsed() -> tuple[Tensor, Tensor]:
    """Data that `load` copies: scikit-learn keeps it as text, which takes longer to read than a small training."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return torch.from_numpy(bunch.images).to(torch.uint8)[:, None], torch.from_numpy(bunch.target).to(torch.int64)


def stratified_order(y: Tensor, generator: torch.Generator) -> Tensor:
    """A random order (N,) of the examples in which every prefix holds the classes y (N,) in proportion.

    Example i of the c_y shuffled ones of its class comes at the place (i + u_y) / c_y of [0, 1), u_y one random number
    per class.
    """
    place = torch.empty(len(y), dtype=torch.float64)
    for label in y.unique():
        members = (y == label).nonzero().squeeze(1)
        rank = torch.randperm(len(members), generator=generator)
        offset = torch.rand(1, generator=generator, dtype=torch.float64)
        place[members] = (rank + offset) / len(members)
    return place.argsort()


class Digits(GreyImages):
    """8x8 digits in 17 levels, (1, 8, 8) in [−1, 1), ten classes.

    Args:
        batch_size: Images in one training micro-batch.
        flip: Whether training images are flipped left to right (a flipped digit is mostly no digit).
        shift: Training images move by up to so many pixels each way, the background coming in.
        binarize: "none"; "threshold" at half intensity; "dynamic": a pixel is on with its intensity as probability,
            redrawn every epoch (one fixed draw for validation, test and floors). Binary digits have 2 levels.
        pairs: What of a digit it is to be made from: "blur", "low_resolution", "edges", "inverted"; "none": no pairs.
        unpaired: Whether training knows no pairs: what is given is derived from other digits than are to be made.
    """

    spec = DataSpec(shape=(1, 8, 8), modality="image", value_range=(-1.0, 1.0), levels=LEVELS, num_classes=10)
    eval_n = 898
    features = "digits"
    floor_kind = "stratified halves of all images"

    def __init__(
        self,
        batch_size: PositiveInt = IMAGE_BATCH,
        flip: bool = False,
        shift: Annotated[int, Range(0, 7)] = 0,
        binarize: Binarize = "none",
        pairs: Pairing = "none",
        unpaired: bool = False,
    ) -> None:
        super().__init__(
            LEVELS, batch_size=batch_size, flip=flip, shift=shift, binarize=binarize, pairs=pairs, unpaired=unpaired
        )
        self.intensities, y = load()
        self.everything, self.labels = InMemory(self.binarization.fixed(self.intensities, "all"), y), y
        order = stratified_order(y, generator_of(SPLIT_SEED, "digits", "split"))
        test, val, train = order.split([TEST_N, VAL_N, len(order) - TEST_N - VAL_N])
        self.index: dict[SplitName, Tensor] = {"train": train, "val": val, "test": test}  # into scikit-learn's order
        self.splits = {name: self.paired(self.everything[index], name) for name, index in self.index.items()}
        self.grey = self.paired(InMemory(self.intensities, y)[train], "train")

    def real_pair(self, n: int, repeat: int) -> tuple[Split, Split]:
        """Two stratified halves of all 1,797 images: n of the 898 in one, the 899 in the other.

        Stratified like the splits that a model is trained and scored on: the class shares of random halves differ by
        chance, which alone would be four fifths of a Fréchet distance between them.

        Repeat r has the same halves for every n. Raises DataError for n above 898.
        """
        order = stratified_order(self.labels, generator_of(repeat, "digits", "floor"))
        half = len(order) // 2
        if n > half:
            raise DataError(f"n={n}: the digits have {half:,} images for each side of a floor; choose n={half} or less")
        return self.everything[order[:n]], self.everything[order[half:]]

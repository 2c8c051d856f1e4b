"""Grey images with labels, moved and binarised: what datasets of scanned characters share.

Splits hold what is validated and scored. Training views begin from the intensities, so that an image is moved before it
is binarised, which is drawn again in each epoch where it is random.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from torch import Tensor

from genkit.data.augmentation import flip_and_shift
from genkit.data.binarization import BINARIZATIONS, Binarize
from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset, SplitName
from genkit.data.derived_pairs import PAIRS, Pairing
from genkit.data.split import InMemory, Split
from genkit.errors import ConfigError


class GreyImages(Dataset):
    """A dataset of grey images in memory.

    Attributes:
        splits: The stored values of each split; set by the subclass.
        grey: The intensities of the training images, in the order of their split; set by the subclass.

    Args:
        levels: Of the intensities.
        batch_size: Images in one training micro-batch.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way.
        binarize: How intensities become pixels.
        pairs: What of an image it is to be made from, see `genkit.data.derived_pairs`.
        unpaired: Whether pairs are taken apart for training: what is given is derived from one half of the training
            images, the other half is to be made.
    """

    splits: dict[SplitName, InMemory]
    grey: InMemory

    @abstractmethod
    def __init__(
        self,
        levels: int,
        *,
        batch_size: int,
        flip: bool,
        shift: int,
        binarize: Binarize,
        pairs: Pairing = "none",
        unpaired: bool = False,
    ) -> None:
        """Raises ConfigError for pairs of binary images, or none that could be taken apart."""
        if unpaired and pairs == "none":
            raise ConfigError("data.unpaired=true: which pairs? give data.pairs=, such as data.pairs=blur")
        if pairs != "none" and binarize != "none":
            raise ConfigError(f"data.pairs={pairs}: pairs are of grey images: leave data.binarize={binarize} out")
        self.batch_size, self.flip, self.shift = batch_size, flip, shift
        self.binarization = BINARIZATIONS[binarize](levels)
        self.unpaired = unpaired
        self.spec, self.pairs = self.binarization.spec(type(self).spec), PAIRS[pairs]
        if self.pairs is not None:
            self.spec = replace(self.spec, condition=self.spec.shape)

    def paired(self, split: InMemory, name: SplitName) -> InMemory:
        """A split whose images stand beside what they are to be made from; itself without pairs."""
        if self.pairs is None:
            return split
        derived = self.pairs(split.x, int(self.spec.kind.count or 0))
        if not (self.unpaired and name == "train"):
            return InMemory(split.x, split.y, derived)
        half = len(split) // 2
        return InMemory(split.x[:half], None if split.y is None else split.y[:half], derived[half : 2 * half])

    def split(self, name: SplitName) -> Split:
        return self.splits[name]

    @property
    def view_source(self) -> Split:
        """The intensities of the training images, in grey where the splits are black and white."""
        return self.grey

    @property
    def random_views(self) -> bool:
        return self.flip or self.shift > 0 or self.binarization.random

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        moved = flip_and_shift(values, index, stream, flip=self.flip, shift=self.shift)
        return self.binarization.training(moved, index, stream)

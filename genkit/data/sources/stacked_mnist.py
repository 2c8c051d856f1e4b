"""Stacked MNIST: three digits, one in each colour channel: 1,000 classes that a classifier can recognise.

Whether a model reaches all kinds is what it is made for: mode coverage counts the triples that a digit classifier reads
in the channels of the samples. The customary protocol draws about 26,000 samples.

Source: Unrolled Generative Adversarial Networks (Metz et al., 2017), 1611.02163; VEEGAN (Srivastava et al., 2017),
1705.07761.
"""

from typing import Annotated

import torch

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.dataset import IMAGE_BATCH, Dataset, SplitName
from genkit.data.root import find_root
from genkit.data.sources.mnist import CLASSES, LEVELS, SIDE, WANTED, fetched, read_arrays, to_split
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.noise import generator_of

CHANNELS = 3
VAL_N, TEST_N = 5_000, 10_000
EVAL_N = 25_600


class StackedMNIST(Dataset):
    """Three MNIST digits as the channels of one image, (3, 28, 28) in [−1, 1); the label is the number they spell.

    Training and validation images are triples of training digits, test images triples of test digits; each triple is
    drawn at random, a function of (seed, split). Scores take 25,600 samples.

    Args:
        root: Folder or file with MNIST; null means $GENKIT_DATA.
        batch_size: Images in one training micro-batch.
        n_train: Images in the training split; validation has 5,000 and test 10,000.
        seed: Of the draws.
        download: Whether the files of MNIST are fetched where they are not there.

    Raises:
        DataError: a file is missing, damaged, cannot be fetched, or is not MNIST.
    """

    eval_n = EVAL_N
    features = "stacked_mnist"

    def __init__(
        self,
        root: str | None = None,
        batch_size: PositiveInt = IMAGE_BATCH,
        n_train: Annotated[int, Range(1, 1_000_000)] = 60_000,
        seed: NonNegativeInt = 0,
        download: bool = False,
    ) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.spec = DataSpec((CHANNELS, SIDE, SIDE), "image", (-1.0, 1.0), LEVELS, CLASSES**CHANNELS)
        path = find_root(fetched(root) if download else root, "mnist", WANTED)
        arrays = read_arrays(path)
        digits = {part: to_split(arrays, part, path) for part in ("train", "test")}
        sizes: dict[SplitName, int] = {"train": n_train, "val": VAL_N, "test": TEST_N}
        self.splits = {
            name: self.stacked(digits["test" if name == "test" else "train"], n, name) for name, n in sizes.items()
        }

    def split(self, name: SplitName) -> Split:
        return self.splits[name]

    def stacked(self, digits: InMemory, n: int, name: str) -> InMemory:
        """n triples of the digits, drawn with replacement."""
        pick = torch.randint(len(digits), (n, CHANNELS), generator=generator_of(self.seed, "stacked", name))
        assert digits.y is not None
        place = CLASSES ** torch.arange(CHANNELS - 1, -1, -1)
        return InMemory(digits.x[:, 0][pick], (digits.y[pick] * place).sum(1))

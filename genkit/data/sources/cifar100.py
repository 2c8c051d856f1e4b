"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes of 20 superclasses, 50,000 of them for training.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Read from the binary version or the
Python version, in a folder or a `.tar.gz`, or from pictures in class folders below `train` and `test`.
"""

from __future__ import annotations

from typing import Literal

from genkit.component import NonNegativeInt, PositiveInt
from genkit.data.published.benchmark import Benchmark, BenchmarkImages
from genkit.data.published.cifar import SIDE, CifarBinary, CifarPickles
from genkit.data.published.download import downloads
from genkit.data.published.forms import NpzForm

SHAPE = (SIDE, SIDE, 3)
FILES = (("train",), ("test",))
FINE_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
COARSE_NAMES = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
    insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
    medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""
FINE, COARSE = tuple(FINE_NAMES.split()), tuple(COARSE_NAMES.split())
Labels = Literal["fine", "coarse"]


def cifar100_files(labels: Labels) -> Benchmark:
    """CIFAR-100 with one of its two labels: of a binary record, the coarse one stands first."""
    classes = FINE if labels == "fine" else COARSE
    return Benchmark(
        "cifar100",
        SHAPE,
        classes,
        (
            CifarBinary(*FILES, classes, label_bytes=2, label=1 if labels == "fine" else 0),
            CifarPickles(*FILES, classes, key=f"{labels}_labels"),
            NpzForm("cifar100.npz", SHAPE, classes),
        ),
        wanted="put cifar-100-binary.tar.gz or cifar-100-python.tar.gz, or pictures in train/CLASS and test/CLASS as "
        "cifar100.zip or a folder cifar100, into a folder and give data.root=FOLDER",
        folders=("cifar-100-binary", "cifar-100-python", "cifar100", "cifar100/cifar-100-python", ""),
        archives=("cifar-100-binary.tar.gz", "cifar-100-python.tar.gz"),
        pictures=("cifar100", "cifar100.zip", "cifar100.tar"),
        own_names=False,
        variant="" if labels == "fine" else labels,
        downloads=downloads(
            "https://www.cs.toronto.edu/~kriz/",
            [
                (
                    "cifar-100-binary.tar.gz",
                    168_513_733,
                    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                )
            ],
        ),
    )


class CIFAR100(BenchmarkImages):
    """CIFAR-100, (3, 32, 32) in 256 levels.

    Args:
        root: Folder with the original files or with pictures, an archive of either, or one of the files; null means
            $GENKIT_DATA.
        labels: "fine": the 100 classes; "coarse": the 20 superclasses.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        batch_size: Images in one training micro-batch; null: by their size.
        download: Whether the original files are fetched where they are not there.

    Raises:
        DataError: it is not there, cannot be fetched, or a file is damaged.
    """

    def __init__(
        self,
        root: str | None = None,
        labels: Labels = "fine",
        flip: bool = True,
        shift: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(cifar100_files(labels), root, download=download, batch_size=batch_size, flip=flip, shift=shift)

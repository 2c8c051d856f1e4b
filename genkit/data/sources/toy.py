"""The toys as datasets: two-dimensional points whose exact density is known, drawn once per split.

The distributions themselves are in `genkit.data.sources.planar`; `Toy` gives them splits, labels and a spec.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated

import torch

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.dataset import Dataset, SplitName
from genkit.data.sources.planar import (
    Checkerboard,
    Circles,
    EightGaussians,
    Pinwheel,
    Planar,
    Rings,
    Spiral,
    TwentyFiveGaussians,
    TwoMoons,
)
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.errors import ConfigError
from genkit.noise import generator_of

TOYS: dict[str, Callable[[], Planar]] = {
    "two_moons": TwoMoons,
    "circles": Circles,
    "eight_gaussians": EightGaussians,
    "twenty_five_gaussians": TwentyFiveGaussians,
    "checkerboard": Checkerboard,
    "pinwheel": Pinwheel,
    "spiral": Spiral,
    "rings": Rings,
}

SPELLINGS = {
    "moons": "two_moons",
    "2_moons": "two_moons",
    "2moons": "two_moons",
    "2_circles": "circles",
    "2circles": "circles",
    "two_circles": "circles",
    "8_gaussians": "eight_gaussians",
    "8gaussians": "eight_gaussians",
    "25_gaussians": "twenty_five_gaussians",
    "25gaussians": "twenty_five_gaussians",
    "grid": "twenty_five_gaussians",
    "chessboard": "checkerboard",
    "spirals": "spiral",
    "2_spirals": "spiral",
    "2spirals": "spiral",
    "two_spirals": "spiral",
}

VAL_N = 2_000
TEST_N = 10_000


def toy_name(name: str) -> str:
    """The canonical name of a toy in any of its spellings; raises ConfigError with the nearest one."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in TOYS:
        return plain
    if plain in SPELLINGS:
        return SPELLINGS[plain]
    near = get_close_matches(plain, [*TOYS, *SPELLINGS], n=1)
    hint = f" (did you mean {SPELLINGS.get(near[0], near[0])}?)" if near else ""
    raise ConfigError(f"data.name={name}: no such toy{hint}; choose from {', '.join(TOYS)}")


class Toy(Dataset):
    """Points of a two-dimensional distribution with its exact density, (2,) float32, unbounded.

    Every split, and every draw of `real_pair`, is a stream of its own, a function of (seed, name).

    Args:
        name: One of `TOYS`, in any usual spelling.
        n_train: Points in the training split; validation has 2,000 and test 10,000.
        seed: Of the draws.
        batch_size: Points in one training micro-batch.
        eval_n: Samples behind a score.
    """

    floor_kind = "fresh draws"

    def __init__(
        self,
        name: str = "eight_gaussians",
        n_train: Annotated[int, Range(1, 10_000_000)] = 50_000,
        seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 512,
        eval_n: PositiveInt = 10_000,
    ) -> None:
        self.name = toy_name(name)
        self.seed = seed
        self.batch_size = batch_size
        self.eval_n = eval_n
        self.density = self.planar = TOYS[self.name]()
        self.modes = self.planar.modes
        self.spec = DataSpec(shape=(2,), modality="vector", num_classes=self.planar.num_classes)
        self.sizes: dict[SplitName, int] = {"train": n_train, "val": VAL_N, "test": TEST_N}
        self.drawn: dict[SplitName, InMemory] = {}

    def split(self, name: SplitName) -> Split:
        if name not in self.drawn:
            self.drawn[name] = self.draw(self.sizes[name], name)
        return self.drawn[name]

    def draw(self, n: int, *stream: int | str) -> InMemory:
        """n points of the stream named `stream`."""
        x, y = self.planar.sample(n, generator_of(self.seed, "toy", self.name, *stream))
        return InMemory(x.to(torch.float32), y)

    def real_pair(self, n: int, repeat: int) -> tuple[Split, Split]:
        """n fresh points against as many fresh ones as the test split holds: never exhausted."""
        return self.draw(n, "floor", repeat, n), self.draw(TEST_N, "floor reference", repeat, n)

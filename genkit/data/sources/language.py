"""Small languages as datasets: texts whose exact probability is known, drawn once per split.

The languages themselves are in `genkit.data.languages`.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.dataset import Dataset, SplitName
from genkit.data.languages import Dyck, HiddenMarkov, Language, Sums
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.noise import generator_of

LANGUAGES: dict[str, Callable[[], Language]] = {"dyck": Dyck, "sums": Sums, "hidden_markov": HiddenMarkov}
TRAIN_N, VAL_N, TEST_N = 50_000, 2_000, 5_000


class SmallLanguage(Dataset):
    """Texts of a language with its exact probabilities.

    Every split, and every draw of `real_pair`, is a stream of its own, a function of (seed, name).

    Args:
        name: One of `LANGUAGES`.
        n_train: Texts in the training split; validation has 2,000 and test 5,000.
        seed: Of the draws.
        batch_size: Texts in one training micro-batch.
        eval_n: Samples behind a score.
    """

    floor_kind = "fresh draws"

    def __init__(
        self,
        name: Literal["dyck", "sums", "hidden_markov"] = "dyck",
        n_train: Annotated[int, Range(1, 10_000_000)] = TRAIN_N,
        seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 64,
        eval_n: PositiveInt = 5_000,
    ) -> None:
        self.name, self.seed, self.batch_size, self.eval_n = name, seed, batch_size, eval_n
        self.density = self.language = LANGUAGES[name]()
        self.spec = DataSpec((self.language.length,), "sequence", kind=self.language.kind)
        self.sizes: dict[SplitName, int] = {"train": n_train, "val": VAL_N, "test": TEST_N}
        self.drawn: dict[SplitName, InMemory] = {}

    def split(self, name: SplitName) -> Split:
        if name not in self.drawn:
            self.drawn[name] = self.draw(self.sizes[name], name)
        return self.drawn[name]

    def draw(self, n: int, *stream: int | str) -> InMemory:
        """n texts of the stream named `stream`."""
        return InMemory(self.language.sample(n, generator_of(self.seed, "language", self.name, *stream)))

    def real_pair(self, n: int, repeat: int) -> tuple[Split, Split]:
        """n fresh texts against as many fresh ones as the test split holds: never exhausted."""
        return self.draw(n, "floor", repeat, n), self.draw(TEST_N, "floor reference", repeat, n)

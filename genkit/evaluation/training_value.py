r"""The worth of drawn examples as training data: how well a classifier does that learned from them.

One classifier is trained in several ways, *arms*, that differ in what its batches hold: real training examples, drawn
ones, half of each, or real ones that are moved and blurred as is customary. Each arm takes the same number of steps of
the same size: else more data would be more training. Seeds are shared, so arms are compared in pairs: with r the
share of S seeds in which test example i is classified rightly,

.. math:: \Delta = \frac1n \sum_i (r_i - r_i^\mathrm{real}), \qquad
          \mathrm{SE}^2 = \frac{\mathrm{Var}_i(r_i - r_i^\mathrm{real})}{n} + \frac{\mathrm{Var}_s(\Delta_s)}{S},

the draw of the test examples and that of the training both counted.

References: Classification Accuracy Score (Ravuri & Vinyals 2019, 1905.10887); How good is my GAN? (Shmelkov et al.
2018, 1807.09499).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt

import torch
from torch import Tensor, nn

from genkit.data.spec import DataSpec
from genkit.data.split import Examples
from genkit.features.classifier import FeatureNet
from genkit.features.classifier_training import ClassifierRecipe, augment, with_batch_norm
from genkit.metrics.interval import normal_interval
from genkit.nn.mlp import MLP
from genkit.noise import generator_of, seed_of

REAL, BOTH, FAKE, CLASSICAL = "real", "real and drawn", "drawn", "real, moved"
BATCH, RATE, DECAY = 64, 4e-3, 0.05
BLOCKS = ((32, 3, True), (64, 3, True))  # convolutions of the classifier of images: channels, kernel, pooling
SMALLEST = 4  # pixels of a side that is halved twice
UNITS, WIDTH = 128, 128
JITTER = 0.1  # standard deviations by which the values of vectors are moved
PART = 500

Batches = Callable[[torch.Generator], tuple[Tensor, Tensor]]
Watch = Callable[[], object]  # is told of each training that is done


@dataclass(frozen=True)
class Comparison:
    """The accuracy of an arm.

    Attributes:
        arm: Its name.
        right: (S, n) bool: whether test example i was classified rightly with seed s.
    """

    arm: str
    right: Tensor

    @property
    def accuracy(self) -> float:
        """The mean over seeds and test examples."""
        return float(self.right.double().mean())

    def gain(self, other: Comparison) -> tuple[float, tuple[float, float] | None]:
        """The difference from another arm's accuracy, with its 95 % interval."""
        each = self.right.double() - other.right.double()
        seeds, n = each.shape
        spread = each.mean(0).var() / n + (each.mean(1).var() / seeds if seeds > 1 else 0.0)
        return float(each.mean()), normal_interval(float(each.mean()), sqrt(float(spread)))


class TrainingValue:
    """Classifiers of one kind of data, trained on mixtures of real and drawn examples.

    Args:
        spec: The data; it has labels.
        real, test: Stored values with labels.
        classes: K.
        steps: Of each training.
        seed: Of everything.
        drawn: Stored values with labels.
    """

    def __init__(
        self, spec: DataSpec, real: Examples, test: Examples, classes: int, steps: int, seed: int, drawn: Examples
    ) -> None:
        self.spec, self.classes, self.steps, self.seed = spec, classes, steps, seed
        self.real, self.drawn, self.test = (self._pair(part) for part in (real, drawn, test))
        channels, height, width = spec.shape if spec.modality == "image" else (1, 1, 1)
        shift = max(1.0, min(height, width) / 10)
        self.recipe = ClassifierRecipe((channels, height, width), 0, BLOCKS, UNITS, classes, shift=shift)

    @property
    def arms(self) -> dict[str, Batches]:
        """A batch of each arm."""
        half = BATCH // 2
        return {
            REAL: partial(self._of, self.real, BATCH),
            BOTH: lambda g: self._joined(self._of(self.real, BATCH - half, g), self._of(self.drawn, half, g)),
            FAKE: partial(self._of, self.drawn, BATCH),
            CLASSICAL: self._moved,
        }

    def compare(self, seeds: int, watch: Watch = lambda: None) -> list[Comparison]:
        """Every arm with the same seeds."""
        found = []
        for arm, batches in self.arms.items():
            right = []
            for number in range(seeds):
                net = self.trained(batches, number)
                right.append(self._answers(net, self.test[0]).argmax(1) == self.test[1])
                watch()
            found.append(Comparison(arm, torch.stack(right)))
        return found

    def judge(self) -> Callable[[Examples], Tensor]:
        """Train a classifier of real examples alone; it gives examples the probability of their own label (n,)."""
        net = self.trained(self.arms[REAL], -1)

        def confidence(examples: Examples) -> Tensor:
            x, y = self._pair(examples)
            return self._answers(net, x).softmax(1).gather(1, y[:, None])[:, 0]

        return confidence

    def trained(self, batches: Batches, number: int) -> nn.Module:
        """A classifier, the first weights and the order of examples a function of (seed, number) alone."""
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(seed_of(self.seed, "classifier", number))
            net = self._network()
        generator = generator_of(self.seed, "classifier order", number)
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=self.steps)
        net.train()
        with torch.enable_grad():
            for _ in range(self.steps):
                x, y = batches(generator)
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
                schedule.step()
        return net.eval()

    def _network(self) -> nn.Module:
        if self.spec.modality == "image" and min(self.spec.shape[1:]) >= SMALLEST:
            return with_batch_norm(FeatureNet(self.spec.shape, BLOCKS, UNITS, self.classes))
        return MLP(in_shape=self.spec.shape, out_shape=(self.classes,), width=WIDTH, depth=2)

    def _pair(self, examples: Examples) -> tuple[Tensor, Tensor]:
        """Values as they are compared, float32, and labels."""
        assert examples.y is not None
        return self.spec.kind.coordinates(examples.x).float(), examples.y

    def _of(self, part: tuple[Tensor, Tensor], n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        index = torch.randint(len(part[0]), (n,), generator=generator)
        return part[0][index], part[1][index]

    @staticmethod
    def _joined(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])

    def _moved(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Real examples: images turned, sheared, shifted and with noise on them, vectors with noise alone."""
        x, y = self._of(self.real, BATCH, generator)
        if self.spec.modality == "image":
            return augment(x, self.recipe, generator), y
        return x + JITTER * self.real[0].std(0) * torch.randn(x.shape, generator=generator), y

    @staticmethod
    @torch.no_grad()
    def _answers(net: nn.Module, x: Tensor) -> Tensor:
        return torch.cat([net(part) for part in x.split(PART)])


def filtered(
    drawn: Iterator[Examples], confidence: Callable[[Examples], Tensor], least: float, n: int
) -> tuple[Examples, int]:
    """The first n drawn examples whose label is confirmed, and how many were looked at.

    Args:
        drawn: Batches.
        confidence: Of the label of each example.
        least: What it has to be.
        n: How many are wanted; there may be fewer.
    """
    xs, ys, seen, kept = [], [], 0, 0
    for batch in drawn:
        assert batch.y is not None
        sure = confidence(batch) >= least
        xs.append(batch.x[sure])
        ys.append(batch.y[sure])
        seen, kept = seen + len(batch.x), kept + int(sure.sum())
        if kept >= n:
            break
    return Examples(torch.cat(xs)[:n], torch.cat(ys)[:n]), seen

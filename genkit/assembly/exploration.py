"""The panels of `genkit explore`: views of a latent space, each rows of pictures and a few numbers.

interpolation  paths between two examples, or two draws where the model has no encoder
traversal      the most used coordinates from −3 to 3 standard deviations, one after the other; directions of most
               change where there is no encoder
attributes     an example moved towards the mean of every label; of a conditional model one latent under every label
neighbours     examples, and the training examples whose latents are closest
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genkit.assembly.examples import Subject, training_split
from genkit.assembly.latent_space import LatentSpace
from genkit.data.order import drawn
from genkit.data.split import Examples
from genkit.errors import ConfigError
from genkit.models.base import Conditional
from genkit.models.interpolation import Interpolation
from genkit.models.latent_directions import mean_of_each, principal_directions, slopes, use
from genkit.printing import shown

POINTS = 9  # on a path
REACH, STOPS = 3.0, 9  # of a traversal, in standard deviations
FITTED = 2000  # training examples that means, spreads and neighbours are of
PROBED = 8  # latents that slopes are averaged over
NEIGHBOURS = 7
LARGEST = 1024  # coordinates of a latent that are traversed
HEAD = 12  # letters of a label above a column
Row = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """Rows of pictures.

    Attributes:
        name: In files.
        words: What the rows show.
        frames: (R, T, *shape) in model units.
        rows: A label for each row, or none.
        scores: Rows of results.csv.
        moves: Whether the columns are moments, to be shown one after the other.
        heads: One for each column, or none.
    """

    name: str
    words: str
    frames: Tensor
    rows: tuple[str, ...]
    scores: tuple[Row, ...]
    moves: bool = True
    heads: tuple[str, ...] = ()


class Exploration:
    """The latent space of a subject's model.

    Args:
        subject: Model and examples.
        path: Between two latents.
    """

    def __init__(self, subject: Subject, path: Interpolation) -> None:
        self.subject, self.path = subject, path
        self.model, self.y = subject.found.model, subject.conditions
        self.space = LatentSpace(self.model, subject.settings.batch_size)
        self.n = len(subject.v)

    @property
    def panels(self) -> dict[str, Callable[[], Panel]]:
        """The panels that this model and its data have."""
        found: dict[str, Callable[[], Panel]] = {"interpolation": self.interpolation}
        if self.z.shape[1] <= LARGEST:
            found["traversal"] = self.traversal
        if self._labelled:
            found["attributes"] = self.attributes
        if self.space.encodes and self.train is not None:
            found["neighbours"] = self.neighbours
        return found

    @cached_property
    def z(self) -> Tensor:
        """(n, D): the latents of the examples, or draws."""
        if self.space.encodes:
            return self.space.encoded(self.subject.x, self.y)
        return self.space.drawn(self.n, self.y, self.subject.settings.seed)

    @cached_property
    def train(self) -> Examples | None:
        """Some training examples; None where they are not to be had."""
        split = training_split(self.subject)
        return None if split is None else drawn(split, min(FITTED, len(split)), seed=0)

    @cached_property
    def fitted(self) -> Tensor:
        """(m, D): latents of training examples, of the examples themselves where there are none; else draws."""
        if not self.space.encodes:
            return self.space.drawn(FITTED, self._labels_of_draws(FITTED), seed=0)
        if self.train is None:
            return self.z
        known = self.train.y if self._classes else None
        return self.space.encoded(self.model.spec.scale(self.train.x), known)

    @property
    def _classes(self) -> int | None:
        return self.model.num_classes if isinstance(self.model, Conditional) else None

    @property
    def _labelled(self) -> bool:
        """Tell whether labels are known that latents can be moved towards, or that the decoder is told."""
        return self._classes is not None or (
            self.space.encodes and self.train is not None and self.train.y is not None and self.subject.y is not None
        )

    def _labels_of_draws(self, n: int) -> Tensor | None:
        return None if self._classes is None else torch.arange(n) % self._classes

    def interpolation(self) -> Panel:
        """From each example to the next one, under the label of the first."""
        ends = self.z.roll(-1, 0)
        points = self.path(self.z, ends, torch.linspace(0, 1, POINTS))
        frames = self._decoded(points, self.y)
        scores: tuple[Row, ...] = ()
        if self.train is not None and len(self.z) > 1:
            middle, first = frames[:, POINTS // 2], self.subject.x
            faded = (first + first.roll(-1, 0)) / 2
            scores = (
                self._score("interpolation", "distance to training, middle of a path", self._to_training(middle)),
                self._score("interpolation", "baseline: the mean of both examples", self._to_training(faded)),
                self._score("interpolation", "held-out examples", self._to_training(first)),
            )
        kind = "two examples" if self.space.encodes else "two draws"
        return Panel("interpolation", f"paths between the latents of {kind}", frames, (), scores)

    def traversal(self) -> Panel:
        """From the latent of the first example along the most used coordinates, or the directions of most change."""
        spread = self.fitted.std(0) if self.space.encodes else torch.ones(self.z.shape[1])
        some = self.fitted[:PROBED]
        told = self._labels_of_draws(PROBED) if self.train is None or not self.space.encodes else self._train_labels()
        size = 2 * len(spread)

        def decode(z: Tensor) -> Tensor:
            return self.space.decoded(z, None if told is None else told[: len(some)].repeat_interleave(size))

        jacobian = slopes(decode, some, spread)
        if self.space.encodes:
            moved = use(jacobian)
            order = moved.argsort(descending=True, stable=True)[: self.n]
            moves, far = torch.diag(spread)[order], moved[order]
            names = tuple(f"coordinate {i}" for i in order.tolist())
        else:
            directions, far = principal_directions(jacobian, self.n)
            moves, names = directions.to(spread), tuple(f"direction {i}" for i in range(len(directions)))
        along = torch.linspace(-REACH, REACH, STOPS)
        points = self.z[:1, None] + along[None, :, None] * moves[:, None]
        y = None if self.y is None else self.y[:1].expand(len(moves))
        scores = tuple(self._score("traversal", name, value) for name, value in zip(names, far.tolist(), strict=True))
        words = f"one latent moved by {-REACH:g} to {REACH:g} standard deviations, most change first"
        return Panel("traversal", words, self._decoded(points, y), names, scores)

    def attributes(self) -> Panel:
        """Each example towards every label."""
        spec, known = self.model.spec, self.subject.y
        if self._classes is not None:
            labels = torch.arange(self._classes)
            points = self.z[:, None].expand(-1, len(labels), -1)
            frames = self.space.decoded(points.flatten(0, 1), labels.repeat(self.n)).unflatten(0, points.shape[:2])
            scores = self._recognised(frames, labels)
            return Panel("attributes", "one latent under every label", frames, (), scores, False, self._named(labels))
        assert self.train is not None
        assert self.train.y is not None
        assert known is not None
        count = spec.num_classes or int(max(self.train.y.max(), known.max())) + 1
        means = mean_of_each(self.fitted, self.train.y, count)
        labels = torch.arange(count)[means.isfinite().all(1)]
        points = self.z[:, None] - means[known][:, None] + means[labels]
        frames = self._decoded(points, None)
        pictures = torch.cat([self.subject.x[:, None], frames], 1)
        words = "an example, and moved to the mean of every label"
        return Panel(
            "attributes",
            words,
            pictures,
            (),
            self._recognised(frames, labels),
            False,
            ("example", *self._named(labels)),
        )

    def neighbours(self) -> Panel:
        """Examples beside the training examples whose latents are closest."""
        assert self.train is not None
        near = torch.cdist(self.z, self.fitted).argsort(1)[:, :NEIGHBOURS]
        closest = self.model.spec.scale(self.train.x[near.flatten()]).unflatten(0, near.shape)
        frames = torch.cat([self.subject.x[:, None], closest], 1)
        scores: tuple[Row, ...] = ()
        if self.train.y is not None and self.subject.y is not None:
            by_values = self._distances(self.subject.x).argsort(1)[:, :NEIGHBOURS]
            own = self.subject.y[:, None]
            scores = tuple(
                self._score("neighbours", name, float((self.train.y[index] == own).double().mean()))
                for name, index in (("same label, by latents", near), ("baseline: by values", by_values))
            )
        words = "an example, and the training examples whose latents are closest"
        heads = ("example", *(f"nearest {k + 1}" for k in range(near.shape[1])))
        return Panel("neighbours", words, frames, (), scores, False, heads)

    def _named(self, labels: Tensor) -> tuple[str, ...]:
        """The labels as heads of columns."""
        dataset = self.subject.dataset
        names = None if dataset is None else dataset.provenance.class_names
        return tuple(shown(names[k] if names else k, HEAD) for k in labels.tolist())

    def _train_labels(self) -> Tensor | None:
        return self.train.y if self.train is not None and self._classes is not None else None

    def _decoded(self, points: Tensor, y: Tensor | None) -> Tensor:
        """Latents (R, T, D) to (R, T, *shape), with a label for each row."""
        labels = None if y is None else y.repeat_interleave(points.shape[1])
        return self.space.decoded(points.flatten(0, 1), labels).unflatten(0, points.shape[:2])

    def _distances(self, x: Tensor) -> Tensor:
        """(n, m): of model values from the training examples, as such data is compared."""
        assert self.train is not None
        return self.model.spec.kind.distances(self.model.spec.unscale(x), self.train.x)

    def _to_training(self, x: Tensor) -> float:
        return float(self._distances(x).amin(1).mean())

    def _recognised(self, frames: Tensor, labels: Tensor) -> tuple[Row, ...]:
        """Share of frames (R, K, *shape) whose nearest training example has the label of the column."""
        if self.train is None or self.train.y is None:
            return ()
        nearest = self._distances(frames.flatten(0, 1)).argmin(1)
        right = self.train.y[nearest].unflatten(0, frames.shape[:2]) == labels
        chance = 1 / len(labels)
        return (
            self._score("attributes", "nearest training example has the label", float(right.double().mean())),
            self._score("attributes", "baseline: chance", chance),
        )

    @staticmethod
    def _score(panel: str, name: str, value: float) -> Row:
        return {"panel": panel, "score": name, "value": value}


def chosen(exploration: Exploration, wanted: str | list[str] | None) -> list[Panel]:
    """The panels that are asked for, or all that there are.

    Raises ConfigError for one that this model or its data does not have.
    """
    panels = exploration.panels
    names = list(panels) if wanted is None else [wanted] if isinstance(wanted, str) else wanted
    for name in names:
        if name not in panels:
            raise ConfigError(f"show={name}: {type(exploration.model).__name__} here has {', '.join(panels)}")
    return [panels[name]() for name in names]

"""The model and the examples of a verb that applies a checkpoint to data.

Examples are the held-out test split of the checkpoint's own data, that of another dataset (`data=NAME`), or a user's
file (`input=`). Which n of a split are taken is a function of (seed, n) and of the examples; of a file they are the
first ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from genkit.assembly.labels import dataset_name
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_labels import label_number
from genkit.assembly.sampling_model import dataset_of, restore_for_sampling
from genkit.assembly.uses import require
from genkit.config.build import build
from genkit.config.settings import UseSettings
from genkit.data.dataset import Dataset
from genkit.data.given import read_given
from genkit.data.order import random_order
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.environment import this_launch
from genkit.errors import ConfigError, DataError
from genkit.models.base import Conditional
from genkit.printing import shown

OWN = "own"  # y=own: each example's own label


@dataclass(frozen=True)
class Subject:
    """A trained model and the examples that a verb applies it to.

    Attributes:
        found: The model, on its device, without gradients of its weights.
        v: (n, *shape) stored values, on the CPU.
        y: (n,) int64 labels of the examples, None where they have none.
        names: Of each example.
        source: Where they come from, in words: "digits, test".
        rows: (n,) their numbers in the source.
        settings: Of the verb.
        own_examples: Whether they are of the checkpoint's own data.
        infers_labels: Whether the verb finds out the label of an example itself, for a conditional model.
        c: (n, *condition) stored values of the other images of held-out pairs, None without pairs.
        pairs_known: Whether these belong to the examples, which are then what they are to become.
        known: Bool (n, *shape) where values of a user's file are missing, None where all are there.
    """

    found: Restored
    v: Tensor
    y: Tensor | None
    names: tuple[str, ...]
    source: str
    rows: Tensor
    settings: UseSettings
    own_examples: bool
    infers_labels: bool = False
    c: Tensor | None = None
    pairs_known: bool = True
    known: Tensor | None = None

    @property
    def x(self) -> Tensor:
        """(n, *shape) model values."""
        return self.found.model.spec.scale(self.v)

    @property
    def device(self) -> torch.device:
        """That of the model."""
        return next(iter(self.found.model.parameters())).device

    @cached_property
    def dataset(self) -> Dataset | None:
        """The data that the model was trained on; None where it is not to be had here."""
        changes = {} if _is_other(self.settings.data) else self.settings.data or {}
        try:
            return dataset_of(self.found, changes, self.settings.plugins)
        except DataError:
            return None

    @cached_property
    def conditions(self) -> Tensor | None:
        """(n,) labels that the model is told, None for none: `y=`, else those of the examples if they are not inferred.

        Raises ConfigError where there are none, or none that the model knows.
        """
        model, n = self.found.model, len(self.v)
        classes = model.num_classes if isinstance(model, Conditional) else None
        own = self.settings.y == OWN
        chosen = None if own else label_number(model.spec, self.settings.y)
        if classes is not None and chosen is None and not own and self.infers_labels:
            return None
        if classes is None:
            if chosen is not None or own:
                raise ConfigError(f"y={self.settings.y}: this model is unconditional: leave it out")
            return None
        if chosen is None and self.y is None:
            raise ConfigError(f"this model is conditional and {shown(self.source)} has no labels: choose one with y=")
        y = self.y if chosen is None else torch.full((n,), chosen)
        if y is None or not 0 <= int(y.min()) <= int(y.max()) < classes:
            raise ConfigError(f"y={self.settings.y}: the model knows the labels 0 … {classes - 1}")
        return y


def subject_of(
    verb: str,
    settings: UseSettings,
    console: Console,
    usual: int | None = None,
    read_as: Callable[[DataSpec], DataSpec] | None = None,
    gaps: bool = False,
) -> Subject:
    """The model of ckpt= and the examples that it is applied to.

    Args:
        verb: Of `genkit.assembly.uses`; a model that lacks its abilities is refused before any data is read.
        settings: Of the verb.
        console: Of notices.
        usual: How many held-out examples are taken where n= is not given; None: all of them.
        read_as: From the model's data to what `input=` holds, where that is something else.
        gaps: Whether the empty cells of a user's table are unknown values.

    Raises:
        ConfigError: the model cannot, `data=` and `input=` are both given, or other data than the model's.
        DataError: there are fewer than n examples, or they cannot be read.
        CheckpointError: see `restore`.
    """
    _refuse_both(settings)
    return examples_for(model_of(verb, settings, console), settings, usual, read_as, gaps=gaps)


def examples_for(
    found: Restored,
    settings: UseSettings,
    usual: int | None = None,
    read_as: Callable[[DataSpec], DataSpec] | None = None,
    source: Restored | None = None,
    without: int | None = None,
    gaps: bool = False,
) -> Subject:
    """The examples that a model which is there already is applied to; raises as `subject_of`.

    Args:
        found: The model.
        settings, usual, read_as, gaps: As of `subject_of`.
        source: The model whose data they are held-out examples of; None: `found`.
        without: A label that none of the held-out examples has.
    """
    _refuse_both(settings)
    if settings.input is not None:
        spec = found.model.spec
        return _of_input(settings.input, found, spec if read_as is None else read_as(spec), settings, gaps)
    return _held_out(found, settings, usual, source or found, without)


def _refuse_both(settings: UseSettings) -> None:
    if settings.input is not None and _is_other(settings.data):
        raise ConfigError("data= and input= both say what the model is applied to: leave one out")


def model_of(verb: str, settings: UseSettings, console: Console) -> Restored:
    """The model of ckpt= alone; raises as `subject_of`."""
    if (size := this_launch().size) > 1:
        raise ConfigError(f"genkit {verb}: one process does it, and {size:,} were started: start it without a launcher")
    assert settings.ckpt is not None  # the newest run where none is named
    found = restore_for_sampling(settings.ckpt, settings, console)
    require(found.model, verb)
    return found


def _of_input(path: str, found: Restored, spec: DataSpec, settings: UseSettings, gaps: bool) -> Subject:
    given = read_given(path, spec, gaps=gaps)
    n = _count(settings.n, len(given.split), f"input={shown(path)}", None)
    some = given.split.take(torch.arange(n))
    known = None if given.known is None else given.known[:n]
    rows = torch.arange(n)
    return Subject(found, some.x, some.y, given.names[:n], path, rows, settings, own_examples=False, known=known)


def _held_out(
    found: Restored, settings: UseSettings, usual: int | None, source: Restored, without: int | None
) -> Subject:
    other = _is_other(settings.data)
    if other:
        dataset = build(settings.data, at="data", expect=Dataset, plugins=settings.plugins)
        _refuse_other_values(found.model.spec, dataset.spec)
        name = dataset_name(settings.data)
    else:
        dataset = dataset_of(source, settings.data or {}, settings.plugins)
        name = dataset_name(source.config.get("data"))
    split = dataset.split("test")
    there = torch.arange(len(split))
    if without is not None and split.labels is not None:
        there = there[split.labels != without]
    some_of = split if len(there) == len(split) else split[there]
    n = _count(settings.n, len(there), f"{name}, test", usual)
    rows = there if n == len(there) else there[random_order(some_of, n, settings.seed)]
    some, names = split.take(rows), tuple(f"test {i}" for i in rows.tolist())
    own = not other and source is found
    return Subject(
        found, some.x, some.y, names, f"{name}, test", rows, settings, own, c=some.c, pairs_known=dataset.pairs_known
    )


def training_split(subject: Subject) -> Split | None:
    """The data that the model was trained on, None where it is not to be had here."""
    return None if subject.dataset is None else subject.dataset.split("train")


def _count(n: int | None, there: int, source: str, usual: int | None) -> int:
    if n is not None and n > there:
        raise DataError(f"n={n:,}: {source} has {there:,} examples: choose at most that many")
    return n or min(there, usual or there)


def _is_other(data: Any) -> bool:
    """Tell whether data= names a dataset, and not only where the checkpoint's own one is."""
    return isinstance(data, dict) and "_target_" in data


def _refuse_other_values(spec: DataSpec, other: DataSpec) -> None:
    """Raises ConfigError where data= has other values than those that the model was trained on."""
    if (name := spec.departure(other)) is not None:
        word = name.replace("_", " ")
        raise ConfigError(
            f"data=: its {word} is {getattr(other, name)}, the model's {getattr(spec, name)}: choose another"
        )

"""Sets of examples that `genkit detect` compares, and the scores that it compares them by.

Normal are the examples that the verb is applied to. Outliers are made of them (`genkit.data.outliers`), or taken from
another dataset, a file, or a class. Where the verb is applied to other data than the model's own, that is what is
suspected, and the model's own held-out data is normal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from genkit.assembly.examples import Subject
from genkit.config.build import build
from genkit.config.hydra.catalog import Catalog, load_yaml
from genkit.config.hydra.words import Words
from genkit.config.settings import DetectSettings
from genkit.config.suggestions import did_you_mean
from genkit.data.dataset import Dataset
from genkit.data.given import read_given
from genkit.data.outliers import OUTLIERS, outlier_kinds, outliers_of
from genkit.errors import ConfigError
from genkit.evaluation.anomaly_scores import SCORES, AnomalyScore, LikelihoodScore
from genkit.evaluation.scored_set import NormalData, ScoredSet
from genkit.models.conditional import Conditional
from genkit.models.density import Density
from genkit.printing import shown

VALIDATION = 1000  # examples behind the median of typicality
SPREAD = 1000  # training examples behind the standard deviation
CLASS = "class_"  # against=class_3: the examples of that label


@dataclass(frozen=True)
class Compared:
    """Two sets.

    Attributes:
        name: Of the outliers.
        normal, outliers: The sets.
        fools: Whether they are the known failure of a raw likelihood.
    """

    name: str
    normal: ScoredSet
    outliers: ScoredSet
    fools: bool = False


def scored(subject: Subject, v: Tensor, y: Tensor | None) -> ScoredSet:
    """Examples of the model's data, with the labels that it needs: their own, else all labels in turn."""
    model, settings = subject.found.model, subject.settings
    classes = model.num_classes if isinstance(model, Conditional) else None
    if classes is None:
        y = None
    elif y is None or not 0 <= int(y.min()) <= int(y.max()) < classes:
        y = torch.arange(len(v)) % classes
    return ScoredSet(model, v, y, settings.seed, settings.batch_size)


def comparisons(subject: Subject, own: ScoredSet, settings: DetectSettings) -> Iterator[Compared]:
    """Every comparison that is asked for, in order.

    Raises:
        ConfigError: a name that says nothing, or outliers that such data does not have.
        DataError: a file or dataset cannot be read.
    """
    names = settings.against
    if names is None and not subject.own_examples:
        dataset = subject.dataset
        if dataset is None:
            return
        rest = dataset.split("test")
        index = torch.arange(min(len(rest), max(len(own.v), VALIDATION)))
        examples = rest.take(index)
        yield Compared(shown(subject.source), scored(subject, examples.x, examples.y), own)
        return
    for name in (
        outlier_kinds(subject.found.model.spec) if names is None else [names] if isinstance(names, str) else names
    ):
        if name in OUTLIERS:
            v = outliers_of(name, subject.v, subject.found.model.spec, settings.seed)
            yield Compared(name, own, scored(subject, v, own.y), OUTLIERS[name].fools)
        elif name.startswith(CLASS):
            yield _of_class(name, subject, own)
        else:
            yield Compared(shown(name), own, _others(name, subject, settings))


def scores_of(subject: Subject, own: ScoredSet, settings: DetectSettings) -> list[AnomalyScore]:
    """The scores that are asked for, or all that the model has and that take no hundreds of evaluations.

    Raises ConfigError for a name that there is not, or that this model lacks.
    """
    model, normal = own.model, normal_data(subject, settings)
    serving = {score.name: score for score in SCORES if score.serves(model, normal)}
    if settings.scores is None:
        costly = isinstance(model, Density) and model.costly
        chosen = [name for name, score in serving.items() if not (costly and issubclass(score, LikelihoodScore))]
    else:
        chosen = [settings.scores] if isinstance(settings.scores, str) else settings.scores
    known = {score.name for score in SCORES}
    for name in chosen:
        if name not in known:
            raise ConfigError(f"scores={shown(name)}: choose of {', '.join(serving)}{did_you_mean(name, serving)}")
        if name not in serving:
            raise ConfigError(f"scores={name}: {type(model).__name__} has none; it has {', '.join(serving)}")
    if all(serving[name].baseline for name in chosen) and settings.scores is None:
        raise ConfigError(f"genkit detect: {type(model).__name__} has no score of an example; genkit list uses")
    return [serving[name](normal) for name in chosen]


def normal_data(subject: Subject, settings: DetectSettings) -> NormalData:
    """Validation and training data of the model, where it is to be had."""
    if subject.dataset is None:
        return NormalData(None, None, float(subject.x.double().std()), settings.seed)
    val, train = subject.dataset.split("val"), subject.dataset.split("train")
    known = val.take(torch.arange(min(VALIDATION, len(val)))) if len(val) else None
    some = train.take(torch.arange(min(SPREAD, len(train)))).x
    return NormalData(
        None if known is None else scored(subject, known.x, known.y),
        train,
        float(subject.found.model.spec.scale(some).double().std()),
        settings.seed,
    )


def _of_class(name: str, subject: Subject, own: ScoredSet) -> Compared:
    """The examples of one class against all others: what a model that was trained without it should find."""
    if subject.y is None:
        raise ConfigError(f"against={name}: {shown(subject.source)} has no labels")
    number = name.removeprefix(CLASS)
    held_out = subject.y == (int(number) if number.isdecimal() and len(number) < 10 else -1)
    if not bool(held_out.any()) or bool(held_out.all()):
        raise ConfigError(f"against={shown(name)}: {shown(subject.source)} has the labels {_labels(subject.y)}")
    sides = [scored(subject, subject.v[mask], subject.y[mask]) for mask in (~held_out, held_out)]
    return Compared(name, sides[0], sides[1])


def _labels(y: Tensor) -> str:
    return f"{int(y.min())} … {int(y.max())}"


def _others(name: str, subject: Subject, settings: DetectSettings) -> ScoredSet:
    """Examples of a file, or held-out ones of a dataset."""
    spec, n = subject.found.model.spec, len(subject.v)
    if Path(name).exists():
        split = read_given(name, spec).split
    else:
        options = Catalog.of(Words()).options("data")
        if name not in options:
            known = [*outlier_kinds(spec), f"{CLASS}K", *options]
            raise ConfigError(
                f"against={shown(name)}: no outliers, dataset or file; outliers of this data are "
                f"{', '.join(outlier_kinds(spec))}{did_you_mean(name, known)}"
            )
        dataset = build(load_yaml(options[name]), at=f"against={name}", expect=Dataset, plugins=settings.plugins)
        if (other := spec.departure(dataset.spec)) is not None:
            raise ConfigError(
                f"against={name}: its {other.replace('_', ' ')} is {getattr(dataset.spec, other)}, "
                f"the model's {getattr(spec, other)}: choose another"
            )
        split = dataset.split("test")
    examples = split.take(torch.arange(min(n, len(split))))
    return scored(subject, examples.x, examples.y)

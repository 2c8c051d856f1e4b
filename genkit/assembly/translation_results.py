"""The files of `genkit translate`: translations, their inputs, a picture, scores beside baselines, a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genkit.assembly.examples import Subject, training_split
from genkit.assembly.sampling_model import title_of
from genkit.assembly.use_results import write_facts, write_scores
from genkit.data.order import random_order
from genkit.data.samples import SAMPLES, write_samples
from genkit.data.split import Split
from genkit.evaluation.completion import nearest
from genkit.evaluation.translation import Row, TranslationScores, scored
from genkit.features.base import FeatureExtractor
from genkit.report.picture import draw, picture_name

PICTURED = 8  # examples
INPUTS = "inputs.npz"
NEAREST, INPUT, FLOOR = "nearest target example", "input", "target data"
MOST = 10_000  # held-out examples of the target that translations are compared with


@dataclass(frozen=True)
class Translated:
    """Translations of every example.

    Attributes:
        subject: The target's model, and the examples.
        words: What was done, for titles: "noised to strength 0.5".
        v: (n, *shape) stored values of the translations.
        back: (n, *shape) model values of the way back, as stored; None where there is none.
        wanted: (n,) labels that were asked for, None for none.
        one_class: The label that was asked for of all of them, None for none.
        strengths: (strength, translations of the first examples (r, *shape), model values), of methods that have one.
    """

    subject: Subject
    words: str
    v: Tensor
    back: Tensor | None
    wanted: Tensor | None
    one_class: int | None
    strengths: Sequence[tuple[float, Tensor]] = ()

    @property
    def out(self) -> Tensor:
        """(n, *shape) model values."""
        return self.subject.found.model.spec.scale(self.v)

    def target(self, name: str) -> Split | None:
        """The held-out ("test") or training examples of the target domain, None where they are not to be had."""
        dataset = self.subject.dataset
        if dataset is None:
            return None
        split = training_split(self.subject) if name == "train" else dataset.split("test")
        if split is None:
            return None
        keep = torch.ones(len(split), dtype=torch.bool)
        if name == "test" and self.subject.own_examples:
            keep[self.subject.rows] = False
        if self.one_class is not None and split.labels is not None:
            keep &= split.labels == self.one_class
        return None if not keep.any() else split if keep.all() else split[keep.nonzero().flatten()]


def scores_of(done: Translated, seed: int, features: FeatureExtractor) -> tuple[list[Row], Tensor | None]:
    """The scores, and for each example the nearest training example of the target (n, *shape)."""
    subject, spec = done.subject, done.subject.found.model.spec
    train, target = done.target("train"), held_out_target(done)
    own = subject.y if done.wanted is None else None
    scores = TranslationScores(spec, subject.x, features, target, own, done.wanted)
    label = subject.found.model.label
    rows = scores.of(label, done.out)
    if done.back is not None:
        rows.append(scored(label, "cycle_rmse", scores.error(done.back)))
    rows += scores.of_domain(INPUT, spec.centre(subject.x))
    if train is None:
        return rows, None
    near = nearest(train, spec, subject.x, torch.ones_like(subject.x, dtype=torch.bool))
    rows += scores.of(NEAREST, near)
    some = some_of_training(done, seed)
    return rows if some is None else [*rows, *scores.distance(FLOOR, some)], near


def held_out_target(done: Translated) -> Tensor | None:
    """Held-out examples of the target (m, *shape), model values; None where they are not to be had."""
    split = done.target("test")
    return None if split is None else done.subject.found.model.spec.scale(split.between(0, min(len(split), MOST)).x)


def some_of_training(done: Translated, seed: int) -> Tensor | None:
    """As many training examples of the target as there are translations, or all; None where there are none."""
    train = done.target("train")
    if train is None:
        return None
    return done.subject.found.model.spec.scale(train.take(random_order(train, min(len(done.v), len(train)), seed)).x)


def write_translation(
    folder: Path, done: Translated, rows: Sequence[Row], near: Tensor | None, own: Mapping[str, Any]
) -> None:
    """All files but the folder itself; `own` is what the note says besides."""
    subject, spec = done.subject, done.subject.found.model.spec
    write_samples(folder / SAMPLES, spec, done.v, subject.y if done.wanted is None else done.wanted)
    write_samples(folder / INPUTS, spec, subject.v, subject.y)
    _draw(folder, done, near)
    write_scores(folder, rows, {"verb": "translate", "words": done.words, "features": own.get("features")})
    write_facts(folder / "translate.json", subject, own)


def picture_file(done: Translated) -> str:
    """The name of the picture."""
    spec = done.subject.found.model.spec
    return "translate.png" if spec.drawing == "grid" else picture_name(spec)


def _draw(folder: Path, done: Translated, near: Tensor | None) -> None:
    subject, spec = done.subject, done.subject.found.model.spec
    path, title = folder / picture_file(done), f"{title_of(subject.found)}: {done.words}"
    if spec.drawing != "grid":
        draw(path, done.out, spec, real=subject.x, title=title, names=("input", "translation"))
        return
    from genkit.report.completions import save_completions

    r = min(PICTURED, len(done.v))
    columns = [("input", subject.x[:r]), ("output", done.out[:r])]
    if done.back is not None:
        columns.append(("and back", done.back[:r]))
    columns += [(f"at {strength:g}", x[:r]) for strength, x in done.strengths]
    if near is not None:
        columns.append(("nearest", near[:r]))
    save_completions(path, spec, columns, title)

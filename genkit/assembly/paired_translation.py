"""`genkit translate` with a model that was trained on pairs: images made from those that are given.

Held-out pairs give the inputs and the truth beside which translations are scored; a user's own pictures (`input=`) are
inputs alone. The baselines are the input itself, the mean of the training targets, and the target of the training pair
whose input is nearest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.examples import Subject, examples_for
from genkit.assembly.inference import in_batches
from genkit.assembly.inference_results import features_for, print_scores
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_model import title_of
from genkit.assembly.translation_results import (
    FLOOR,
    INPUT,
    INPUTS,
    PICTURED,
    Translated,
    held_out_target,
    some_of_training,
)
from genkit.assembly.use_results import RESULTS, result_folder, write_facts, write_scores
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import TranslateSettings
from genkit.data.samples import SAMPLES, write_samples
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.evaluation.completion import Truth, mean_fill
from genkit.evaluation.translation import Row, TranslationScores, nearest_pairs, scored, scored_pairs
from genkit.features.base import FeatureExtractor
from genkit.models.conditional_on_image import ConditionalOnImage, ReturnsImage
from genkit.noise import SampleNoise
from genkit.printing import shown

NEAREST, MEAN = "nearest training pair", "training mean"
UNPAIRED = ("translation", "strength", "from")  # keys of other methods
WORDS = "made from its input"


def translate_pairs(found: Restored, settings: TranslateSettings, usual: int, console: Console) -> Path:
    """Translate held-out pairs or a user's pictures; returns the output folder.

    Raises ConfigError for keys of methods without pairs, or data that has none.
    """
    for key in UNPAIRED:
        if settings.config.get(key) is not None:
            raise ConfigError(f"{key}=: {type(found.model).__name__} translates as it was trained to: leave it out")
    subject = examples_for(found, settings, usual, condition_spec)
    c = subject.v if settings.input is not None else subject.c
    if c is None:
        raise ConfigError(f"data=: {subject.source} has no pairs to translate: give it data.pairs=, or take input=")
    truth = subject.x if settings.input is None and subject.pairs_known else None
    features = features_for(subject, settings)
    started = time.perf_counter()
    with memory_errors(smaller_batch("batch_size", settings.batch_size)):
        x, back = _made(subject, found.model.spec.scale(c), console)
    seconds = round(time.perf_counter() - started, 3)
    done = Translated(subject, WORDS, found.model.spec.unscale(x), back, None, None)
    baselines = _baselines(done, c)
    rows = _scores(done, c, truth, baselines, features)

    def fill(folder: Path) -> None:
        spec = found.model.spec
        write_samples(folder / SAMPLES, spec, done.v, subject.y)
        write_samples(folder / INPUTS, condition_spec(spec), c, subject.y)
        _draw(folder, done, c, truth, baselines)
        write_scores(folder, rows, {"verb": "translate", "words": WORDS, "features": features.id})
        write_facts(folder / "translate.json", subject, {"method": type(found.model).__name__, "seconds": seconds})

    folder = result_folder("translate", subject, fill)
    print_scores(rows, console)
    made = {"picture": "translate.png", "array": SAMPLES, "inputs": INPUTS, "scores": RESULTS}
    again = next_command(settings.plugins, "sample", f"ckpt={found.checkpoint.path}")
    close(
        console,
        f"{len(x):,} examples, each {WORDS}: {shown(folder)}",
        {k: folder / v for k, v in made.items()},
        [again],
    )
    return folder


def condition_spec(spec: DataSpec) -> DataSpec:
    """The inputs of a model of pairs as data of their own."""
    assert spec.condition is not None
    return replace(spec, shape=spec.condition, condition=None)


def _made(subject: Subject, c: Tensor, console: Console) -> tuple[Tensor, Tensor | None]:
    """(n, *shape) model values for conditions c (n, *condition); the way back of models that know one."""
    model = subject.found.model
    assert isinstance(model, ConditionalOnImage)

    def some(rows: slice, noise: SampleNoise, _: Tensor | None) -> Tensor:
        assert isinstance(model, ConditionalOnImage)
        return model.from_image(c[rows].to(subject.device), noise=noise)

    def returned(rows: slice, noise: SampleNoise, _: Tensor | None) -> Tensor:
        assert isinstance(model, ReturnsImage)
        return model.to_image(x[rows].to(subject.device))

    x = in_batches(subject, some, 1, console)
    back = in_batches(subject, returned, 1, console) if isinstance(model, ReturnsImage) else None
    return x, None if back is None else model.spec.centre(back)


def _baselines(done: Translated, c: Tensor) -> list[tuple[str, Tensor]]:
    """Answers (n, *shape) that ask no model, model values as stored."""
    subject, spec, train = done.subject, done.subject.found.model.spec, done.target("train")
    found = [(INPUT, spec.scale(c))] if spec.condition == spec.shape else []
    if train is not None:
        found.append((MEAN, mean_fill(train, spec).expand(len(c), *spec.shape)))
        if train.between(0, 1).c is not None and not isinstance(subject.found.model, ReturnsImage):
            found.append((NEAREST, nearest_pairs(train, spec, c)))
    return found


def _scores(
    done: Translated,
    c: Tensor,
    truth: Tensor | None,
    baselines: Sequence[tuple[str, Tensor]],
    features: FeatureExtractor,
) -> list[Row]:
    subject, spec, out = done.subject, done.subject.found.model.spec, done.out
    domain = TranslationScores(spec, out, features, held_out_target(done))
    rows: list[Row] = []
    for name, x in [(subject.found.model.label, out), *baselines]:
        if truth is not None:
            known = Truth(spec, truth, torch.ones_like(truth, dtype=torch.bool), features, subject.y)
            rows += scored_pairs(spec, known, name, x)
        if name != MEAN:  # which is one image
            rows += domain.distance(name, x)
    if done.back is not None:
        kind = spec.kind
        error = kind.coordinates(spec.unscale(done.back)) - kind.coordinates(c)
        label = subject.found.model.label
        rows.append(scored(label, "cycle_rmse", error.square().flatten(1).mean(1).sqrt()))
    some = some_of_training(done, subject.settings.seed)
    return rows if some is None else [*rows, *domain.distance(FLOOR, some)]


def _draw(
    folder: Path, done: Translated, c: Tensor, truth: Tensor | None, baselines: Sequence[tuple[str, Tensor]]
) -> None:
    from genkit.report.completions import save_completions

    spec, r = done.subject.found.model.spec, min(PICTURED, len(c))
    columns = [("input", spec.scale(c[:r])), ("output", done.out[:r])]
    if truth is not None:
        columns.append(("truth", truth[:r]))
    if done.back is not None and done.back.shape[1] == spec.shape[0]:
        columns.append(("and back", done.back[:r]))
    columns += [("nearest", x[:r]) for name, x in baselines if name == NEAREST]
    if spec.condition is not None and spec.condition[0] != spec.shape[0]:
        columns[0] = ("input", columns[0][1].mean(1, keepdim=True).expand(r, *spec.shape))
    save_completions(folder / "translate.png", spec, columns, f"{title_of(done.subject.found)}: {WORDS}")

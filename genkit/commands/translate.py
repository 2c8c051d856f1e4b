"""`genkit translate`: examples of one domain or class turned into those of another, scored beside baselines.

A model that denoises needs no training for it: an input is noised and denoised (SDEdit), or carried to noise by the
model of its own domain and from there by that of the target (`genkit/translation/`). Flows go through their latents.
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
from genkit.assembly.examples import OWN, Subject, examples_for, model_of
from genkit.assembly.inference import in_batches, slices
from genkit.assembly.inference_results import features_for, print_scores
from genkit.assembly.output_folder import check_out
from genkit.assembly.paired_translation import translate_pairs
from genkit.assembly.posterior_choice import labels_on, num_classes_of
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_labels import label_number
from genkit.assembly.sampling_model import restore_for_sampling
from genkit.assembly.translation_choice import TranslationMethod
from genkit.assembly.translation_results import (
    INPUTS,
    PICTURED,
    Translated,
    picture_file,
    scores_of,
    write_translation,
)
from genkit.assembly.use_results import RESULTS, result_folder
from genkit.assembly.uses import require
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import TranslateSettings
from genkit.data.samples import SAMPLES
from genkit.errors import ConfigError
from genkit.models.conditional_on_image import ConditionalOnImage
from genkit.noise import SampleNoise
from genkit.printing import shown
from genkit.report.console import make_console

USUAL = 100  # held-out examples
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of a picture
KEYS = ("y", "from", "translation", "strength")


def run(settings: TranslateSettings) -> None:
    """Translate examples; writes samples.npz, inputs.npz, a picture, results.json and results.csv, translate.json."""
    translate(settings)


def translate(settings: TranslateSettings) -> Path:
    """As `run`; returns the output folder."""
    console = make_console()
    check_out(settings.out)
    found = model_of("translate", settings, console)
    if isinstance(found.model, ConditionalOnImage):
        return translate_pairs(found, settings, USUAL, console)
    source = None if settings.from_ is None else _source(settings, found, console)
    method = TranslationMethod(found.model, None if source is None else source.model, settings)
    wanted = None if settings.y == OWN else label_number(found.model.spec, settings.y)
    subject = examples_for(found, settings, USUAL, source=source, without=wanted)
    known = not method.bridges or subject.y is None
    subject = replace(subject, infers_labels=not method.needs_label and known)
    features = features_for(subject, settings)
    started = time.perf_counter()
    with memory_errors(smaller_batch("batch_size", settings.batch_size)):
        done = _translated(method, subject, wanted, console)
    seconds = round(time.perf_counter() - started, 3)
    rows, near = scores_of(done, settings.seed, features)
    own = {key: settings.config.get(key) for key in KEYS} | {"method": method.cls.__name__, "seconds": seconds}
    own["features"] = features.id
    folder = result_folder("translate", subject, lambda path: write_translation(path, done, rows, near, own))
    print_scores(rows, console)
    made = {"picture": folder / picture_file(done), "array": folder / SAMPLES, "inputs": folder / INPUTS}
    verb, more = ("translate", ["strength=0.7"]) if method.has_strength else ("sample", [])
    again = next_command(settings.plugins, verb, f"ckpt={found.checkpoint.path}", *more)
    close(
        console,
        f"{len(done.v):,} examples, {done.words}: {shown(folder)}",
        made | {"scores": folder / RESULTS},
        [again],
    )
    return folder


def _source(settings: TranslateSettings, found: Restored, console: Console) -> Restored:
    """The model of from=; raises ConfigError for one of other data than the target's."""
    assert settings.from_ is not None
    source = restore_for_sampling(settings.from_, replace(settings, sampling={}), console)
    require(source.model, "translate")
    mine, other = found.model.spec, source.model.spec
    if (name := mine.departure(other)) is not None:
        raise ConfigError(
            f"from=: its data has the {name.replace('_', ' ')} {getattr(other, name)}, that of ckpt= "
            f"{getattr(mine, name)}: name two models of data of one form"
        )
    return source


def _translated(method: TranslationMethod, subject: Subject, wanted: int | None, console: Console) -> Translated:
    spec, x, targets = subject.found.model.spec, subject.x, subject.conditions
    sources = _source_labels(method, subject, console)

    def some(rows: slice, noise: SampleNoise, target: Tensor | None, strength: float | None = None) -> Tensor:
        part, n = x[rows].to(subject.device), len(noise.indices)
        labels = labels_on(sources, rows, subject.device)
        out = method.made(n, labels, target, strength=strength)(part, noise)
        if not method.bridges:
            return out[:, None]
        return torch.stack([out, method.made(n, labels, target, back=True)(out, noise)], 1)

    both = in_batches(subject, some, 2 if method.bridges else 1, console)
    strengths = []
    if method.has_strength:
        first = replace(subject, v=subject.v[:PICTURED], y=None if subject.y is None else subject.y[:PICTURED])
        for strength in STRENGTHS if spec.drawing == "grid" else ():
            drawn = in_batches(first, lambda rows, noise, y, s=strength: some(rows, noise, y, s), 1, console)  # type: ignore[misc]
            strengths.append((strength, spec.centre(drawn[:, 0])))
    back = spec.centre(both[:, 1]) if method.bridges else None
    words = _words(method, sources, targets, wanted, spec.kind.label_names)
    return Translated(subject, words, spec.unscale(both[:, 0]), back, targets, wanted, strengths)


@torch.no_grad()
def _source_labels(method: TranslationMethod, subject: Subject, console: Console) -> Tensor | None:
    """The labels of the examples in their own domain, found by the source's model where they are unknown."""
    classes = num_classes_of(method.source)
    if not method.bridges or classes is None:
        return None
    y = subject.y
    if y is not None and 0 <= int(y.min()) <= int(y.max()) < classes:
        return y

    console.print("the classes of the examples are found by the model", soft_wrap=True)
    found = []
    for rows in slices(len(subject.v), subject.settings.batch_size):
        noise = SampleNoise(subject.settings.seed + 1, subject.rows[rows].tolist(), subject.device)
        labels = method.source_labels(subject.x[rows].to(subject.device), noise)
        assert labels is not None
        found.append(labels.cpu())
    return torch.cat(found)


def _words(
    method: TranslationMethod, sources: Tensor | None, targets: Tensor | None, into: int | None, names: Sequence[str]
) -> str:
    """ "translated to class 3 at strength 0.5"."""
    source, target = (None if y is None else y[:1] for y in (sources, targets))
    first = method.made(1, source, target)
    said = "" if into is None else f" to class {names[into] if names else into}"
    return f"translated{said} {first.words}"

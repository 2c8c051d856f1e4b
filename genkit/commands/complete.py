"""`genkit complete`: the rest of examples of which a part is known, several draws of each, scored where the truth is
known.

The part that is known comes back bit for bit. A model that completes by itself does (autoregressive, masked diffusion);
for others what is known is a linear measurement, and a posterior sampler draws the rest (`genkit/inverse/`).
"""

from __future__ import annotations

import time
from math import prod
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.examples import Subject, model_of, subject_of, training_split
from genkit.assembly.inference import completed, inferred, noise_of_known, told_how
from genkit.assembly.inference_results import (
    Inference,
    features_for,
    picture_file,
    print_scores,
    truth_of,
    write_inference,
)
from genkit.assembly.known import mask_of, refuse_all_or_nothing
from genkit.assembly.output_folder import check_out
from genkit.assembly.posterior_choice import require_posterior
from genkit.assembly.prompts import begun
from genkit.assembly.use_results import RESULTS, result_folder
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import CompleteSettings
from genkit.data.samples import SAMPLES
from genkit.data.spec import DataSpec
from genkit.data.text.samples import JSONL, TXT
from genkit.errors import ConfigError
from genkit.evaluation.completion import mean_fill, nearest, scores_of
from genkit.inverse.linear_task import LinearTask, Luminance, Mask
from genkit.models.base import Completes
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.preview import print_text

USUAL = 16  # held-out examples
KEYS = ("task", "known", "hidden", "draws", "posterior")


def run(settings: CompleteSettings) -> None:
    """Complete examples; writes samples.npz, given.npz, a picture, results.json and results.csv, complete.json."""
    complete(settings)


def complete(settings: CompleteSettings) -> Path:
    """As `run`; returns the output folder."""
    console = make_console()
    check_out(settings.out)
    if settings.prompt is not None:
        return _prompted(settings, console)
    gaps = settings.known is None and settings.hidden is None and settings.task in (None, "impute")
    subject = subject_of("complete", settings, console, USUAL, gaps=gaps)
    subject = told_how(subject, settings)
    features = features_for(subject, settings) if subject.known is None else None
    started = time.perf_counter()
    with memory_errors(smaller_batch("batch_size", settings.batch_size)):
        done = (
            _coloured(subject, settings, console)
            if settings.task == "colourise"
            else _filled(subject, settings, console)
        )
    seconds = round(time.perf_counter() - started, 3)
    own, rows, true = {key: settings.config.get(key) for key in KEYS} | {"seconds": seconds}, [], None
    if features is not None:  # what is hidden is known to us
        truth, true = truth_of(subject, done.hidden, features), subject.x
        sources = [(subject.found.model.label, done.draws), *((name, x[:, None]) for name, x in done.baselines)]
        rows, own = scores_of(truth, sources), own | {"features": features.id}
    folder = result_folder("complete", subject, lambda path: write_inference(path, done, rows, own, true))
    made = {"picture": folder / picture_file(done), "array": folder / SAMPLES}
    if rows:
        print_scores(rows, console)
        made["scores"] = folder / RESULTS
    again = next_command(settings.plugins, "complete", f"ckpt={subject.found.checkpoint.path}", "hidden=0.5")
    count = f"{len(done.draws):,} examples, {settings.draws:,} draws of each"
    close(console, f"{count}, {done.words}: {shown(folder)}", made, [again])
    return folder


def _prompted(settings: CompleteSettings, console: Console) -> Path:
    """Texts that go on from a prompt; returns the output folder."""
    assert settings.prompt is not None
    for key in ("known", "hidden", "input", "n", "task", "posterior"):
        if settings.config.get(key) is not None:
            raise ConfigError(f"prompt= says what is known, and {key}= goes with examples: leave one out")
    found = model_of("complete", settings, console)
    begin = begun(found.model, "prompt", [settings.prompt])
    v = found.model.spec.unscale(begin.x)
    subject = Subject(found, v, None, ("prompt",), "prompt", torch.arange(len(v)), settings, own_examples=False)
    x = completed(subject, begin.known, settings.draws, console)
    words = f"prompt {shown(settings.prompt, 40)}"
    done = Inference(subject, "complete", words, _as_given(subject, x, begin.known), begin.x, ~begin.known)
    own = {key: settings.config.get(key) for key in (*KEYS, "prompt")}
    folder = result_folder("complete", subject, lambda path: write_inference(path, done, [], own, None))
    print_text(folder / JSONL, console)
    again = next_command(settings.plugins, "sample", f"ckpt={found.checkpoint.path}", f"prompt={settings.prompt}")
    made = {"picture": folder / picture_file(done), "array": folder / SAMPLES, "text": folder / TXT}
    close(console, f"{settings.draws:,} texts, {words}: {shown(folder)}", made, [again])
    return folder


def _filled(subject: Subject, settings: CompleteSettings, console: Console) -> Inference:
    """Draws of what is hidden, and what is known as it was given."""
    spec, n, k = subject.found.model.spec, len(subject.v), settings.draws
    if subject.known is None:
        known, words = _known(spec, settings, n)
    else:
        known, words = subject.known, f"empty cells of {shown(subject.source)} filled"
    each = known.expand(n, *spec.shape)
    if isinstance(subject.found.model, Completes) and settings.posterior is None:
        x = completed(subject, each, k, console)
    else:
        sigma = noise_of_known(subject.found.model, each.flatten(1).sum(1).double().mean().item())

        def task_of(rows: slice) -> LinearTask:
            return Mask(each[rows].to(subject.device), spec.shape, sigma)

        require_posterior(subject.found.model, "posterior=")
        x = inferred(subject, task_of, torch.where(each, subject.x, 0.0), k, settings.posterior, console)
    return _with_baselines(subject, _as_given(subject, x, each), each, words, settings)


def _as_given(subject: Subject, x: Tensor, known: Tensor) -> Tensor:
    """Stored values (n, k, *shape) of draws, with what is known bit for bit."""
    spec, k = subject.found.model.spec, x.shape[1]
    v = spec.unscale(x.flatten(0, 1))
    own, mask = subject.v.repeat_interleave(k, 0), known.repeat_interleave(k, 0)
    return torch.where(mask, own.to(v.dtype), v).unflatten(0, (-1, k))


def _known(spec: DataSpec, settings: CompleteSettings, n: int) -> tuple[Tensor, str]:
    """Bool (*shape,) or (n, *shape), and what was hidden in words."""
    known, hidden, task = settings.known, settings.hidden, settings.task
    if known is not None and hidden is not None:
        raise ConfigError("known= and hidden= both say what is known: leave one out")
    if task in ("inpaint", "outpaint") and spec.modality != "image":
        raise ConfigError(f"task={task}: it takes images, and this is {spec.modality} data: leave it out")
    if task == "impute" and spec.modality == "image":
        raise ConfigError(
            "task=impute: it takes vectors and tables, and this is image data: choose inpaint or outpaint"
        )
    if known is None and hidden is None:
        if spec.modality != "image":
            raise ConfigError(
                "known= is missing: say what is known, columns such as known=[0,1] or a share such as 0.5"
            )
        known, hidden = (_middle(spec), None) if task == "outpaint" else (None, _middle(spec))
    key, place = ("hidden", hidden) if known is None else ("known", known)
    assert place is not None
    mask = mask_of(place, key, spec, n, settings.seed)
    mask = mask if key == "known" else ~mask
    said = f"[{','.join(map(str, place))}]" if isinstance(place, list) else str(place)
    refuse_all_or_nothing(mask, f"{key}={shown(said)}")
    return mask, f"{shown(Path(said).name)} {key}"


def _middle(spec: DataSpec) -> list[int | str]:
    """The box in the middle of an image, half as high and as wide."""
    _, height, width = spec.shape
    tall, wide = max(height // 2, 1), max(width // 2, 1)
    return [(height - tall) // 2, (width - wide) // 2, tall, wide]


def _with_baselines(subject: Subject, v: Tensor, known: Tensor, words: str, settings: CompleteSettings) -> Inference:
    """The draws beside the training mean and the training example nearest on what is known."""
    spec, x, train = subject.found.model.spec, subject.x, training_split(subject)
    baselines = []
    if train is not None:
        baselines = [
            ("mean fill", torch.where(known, x, mean_fill(train, spec))),
            ("nearest training example", torch.where(known, x, nearest(train, spec, x, known))),
        ]
    given = torch.where(known, x, x.new_full((), 0) if spec.value_range is None else spec.value_range[0])
    return Inference(subject, "complete", words, v, given.to(x.dtype), ~known, baselines)


def _coloured(subject: Subject, settings: CompleteSettings, console: Console) -> Inference:
    """Draws of the colours of grey images."""
    spec, x = subject.found.model.spec, subject.x
    if settings.known is not None or settings.hidden is not None:
        raise ConfigError("task=colourise: what is known is the brightness: leave known= and hidden= out")
    require_posterior(subject.found.model, "task=colourise")
    task = Luminance(spec.shape, noise_of_known(subject.found.model, float(prod(spec.shape[1:]))))
    grey = task.measure(x)
    drawn = inferred(subject, lambda _: task, grey, settings.draws, settings.posterior, console)
    v = spec.unscale(drawn.flatten(0, 1)).unflatten(0, tuple(drawn.shape[:2]))
    plain = spec.centre(task.restored(grey))
    return Inference(subject, "complete", "coloured by the model", v, plain, None, [("grey", plain)])

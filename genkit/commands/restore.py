"""`genkit restore`: noise, a blur or a low resolution undone, several draws of each example, scored against the truth.

Held-out examples are measured with the task's operator and noise, and restored. A user's own picture (`input=`) is
taken as the measurement itself: noisy, blurred, or small.
"""

from __future__ import annotations

import time
from pathlib import Path

from torch import Tensor

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.examples import Subject, subject_of
from genkit.assembly.inference import inferred, told_how
from genkit.assembly.inference_results import (
    Inference,
    features_for,
    picture_file,
    print_scores,
    truth_of,
    write_inference,
)
from genkit.assembly.output_folder import check_out
from genkit.assembly.restoration_task import measured_spec, task_for
from genkit.assembly.use_results import RESULTS, result_folder
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import RestoreSettings
from genkit.data.samples import SAMPLES
from genkit.evaluation.completion import row_of, scores_of
from genkit.features.base import FeatureExtractor
from genkit.inverse.linear_task import LinearTask
from genkit.noise import SampleNoise
from genkit.printing import shown
from genkit.report.console import make_console

USUAL = 16  # held-out examples
KEYS = ("task", "noise", "factor", "blur", "draws", "posterior")


def run(settings: RestoreSettings) -> None:
    """Restore examples; writes samples.npz, given.npz, a picture, results.json and results.csv, restore.json."""
    restore(settings)


def restore(settings: RestoreSettings) -> Path:
    """As `run`; returns the output folder."""
    console = make_console()
    check_out(settings.out)
    subject = subject_of("restore", settings, console, USUAL, lambda spec: measured_spec(spec, settings))
    subject = told_how(subject, settings)
    features = features_for(subject, settings) if settings.input is None else None
    started = time.perf_counter()
    spec = subject.found.model.spec
    v = _measured(subject, settings)
    task = task_for(spec, settings, v if settings.input is not None else None)
    with memory_errors(smaller_batch("batch_size", settings.batch_size)):
        x = inferred(subject, lambda _: task, v, settings.draws, settings.posterior, console)
    seconds = round(time.perf_counter() - started, 3)
    stored = spec.unscale(x.flatten(0, 1)).unflatten(0, tuple(x.shape[:2]))
    plain = spec.centre(spec.clip(task.restored(v)))
    done = Inference(
        subject, "restore", _words(settings, task, spec.value_range), stored, plain, None, [("plain", plain)]
    )
    rows = _scores(done, task, v, features)
    own = {key: settings.config.get(key) for key in KEYS} | {"sigma": task.sigma, "seconds": seconds}
    if features is not None:
        own["features"] = features.id
    truth = subject.x if settings.input is None else None
    folder = result_folder("restore", subject, lambda path: write_inference(path, done, rows, own, truth))
    print_scores(rows, console)
    made = {"picture": folder / picture_file(done), "array": folder / SAMPLES, "scores": folder / RESULTS}
    again = next_command(settings.plugins, "restore", f"ckpt={subject.found.checkpoint.path}", "task=super_resolve")
    count = f"{len(done.v):,} examples, {settings.draws:,} draws of each"
    close(console, f"{count}, {done.words}: {shown(folder)}", made, [again])
    return folder


def _measured(subject: Subject, settings: RestoreSettings) -> Tensor:
    """Measurements of the examples: a user's own are measured already."""
    if settings.input is not None:
        return subject.x
    task = task_for(subject.found.model.spec, settings, None)
    noise = SampleNoise(settings.seed + 1, [int(row) for row in subject.rows])  # no draw's own noise
    return task.measure(subject.x) + task.sigma * noise(*task.out_shape)


def _scores(done: Inference, task: LinearTask, v: Tensor, features: FeatureExtractor | None) -> list[dict[str, object]]:
    """Scores against the truth where it is known, and how far the draws' measurements are from those given."""
    label = done.subject.found.model.label
    rows = []
    if features is not None:
        truth = truth_of(done.subject, None, features)
        sources = [(label, done.draws), *((name, x[:, None]) for name, x in done.baselines)]
        rows = scores_of(truth, sources)
    n, k = done.draws.shape[:2]
    r = (task.measure(done.draws.flatten(0, 1)) - v.repeat_interleave(k, 0)).flatten(1)
    residual = r.square().mean(1).sqrt().unflatten(0, (n, k)).mean(1) / task.sigma
    return [*rows, row_of(label, "residual_of_expected", residual, k)]


def _words(settings: RestoreSettings, task: LinearTask, interval: tuple[float, float] | None) -> str:
    width = 1.0 if interval is None else interval[1] - interval[0]
    share = f"noise {task.sigma / width:.2g}"
    match settings.task:
        case "denoise":
            return f"{share} removed"
        case "deblur":
            return f"blur of {settings.blur:g} pixels undone, {share}"
        case _:
            return f"{settings.factor} times the resolution, {share}"

"""`genkit verify RUN replay=20`: trains a few recorded steps again, elsewhere, and compares to the last bit.

The window of steps begins at a checkpoint, or at step 0, and ends where something was recorded: a later checkpoint, or
a line of metrics.jsonl. All of its steps were trained by one configuration: a run that was resumed with a change, be it
of its length alone, is replayed on one side of it. Nothing in the run folder is touched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from genkit.assembly.continuation import fits_of, recorded, same_data
from genkit.assembly.machine import inexact, other_views
from genkit.assembly.nested_models import embedded_again
from genkit.assembly.run import build_parts, checkpoint_config
from genkit.assembly.run_history import history_of
from genkit.assembly.start_weights import begin_again
from genkit.assembly.temporary_run import fit_quietly
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.read import Checkpoint, open_checkpoint
from genkit.checkpoint.retention import CHECKPOINTS, step_folders, step_name
from genkit.checkpoint.run_folder import METRICS, RUN, read_info
from genkit.checkpoint.weights import RAW
from genkit.config.build import refuse_interpolations
from genkit.config.settings import RunSettings
from genkit.errors import CheckpointError, ConfigError
from genkit.models.base import GenerativeModel
from genkit.printing import shown
from genkit.storage.regular import is_inside
from genkit.training.runner import TrainingRun
from genkit.upgrade import upgraded

LISTED = 5  # differences shown


@dataclass(frozen=True)
class Window:
    """Steps to train again: from a checkpoint (None: from the start) to the step `last`, and what was recorded of them.

    Attributes:
        start: What to begin with.
        last: The last step.
        end: The checkpoint of that step, where there is one.
        lines: Lines of metrics.jsonl of the steps between.
    """

    start: Checkpoint | None
    last: int
    end: Checkpoint | None
    lines: Sequence[Mapping[str, Any]]

    @property
    def first(self) -> int:
        return 0 if self.start is None else self.start.step


def replay(run: Path, steps: int, plugins: Sequence[str], console: Console) -> None:
    """Prints "bit-identical", or raises.

    Raises:
        CheckpointError: the replay differs, or the run's data is another.
        ConfigError: nothing was recorded within so few steps.
    """
    checkpoints = [open_checkpoint(folder) for folder in reversed(step_folders(run)) if is_inside(folder, run)]
    lines = MetricsLog(run / METRICS).records()
    window = choose_window(checkpoints, lines, steps, seams(read_info(run / RUN)))
    if window is None:
        raise ConfigError(f"replay={steps}: nothing was recorded within so few steps of {shown(run)}: raise replay=")
    with tempfile.TemporaryDirectory(prefix="genkit-replay-") as scratch:
        model, here = _train(run, window, checkpoints, plugins, Path(scratch))
        found = list(_differences(window, Path(scratch), model))
    span = f"steps {window.first + 1} to {window.last}"
    if found:
        shown_ones = "; ".join(found[:LISTED]) + (f"; and {len(found) - LISTED} more" if len(found) > LISTED else "")
        reasons = list(inexact(trained_on(read_info(run / RUN), window.last), here))
        elsewhere = f" (it was trained under other conditions: {'; '.join(reasons)})" if reasons else ""
        raise CheckpointError(f"{shown(run)}: replaying {span} differs: {shown_ones}{elsewhere}")
    against = [*([f"{window.end.path.name}"] if window.end else []), *([f"{len(window.lines)} lines of metrics.jsonl"])]
    console.print(f"bit-identical: {span}, compared with {' and '.join(against)}", soft_wrap=True)


def seams(info: Mapping[str, Any]) -> list[int]:
    """The steps of a run.json's history after which another configuration trained, or with other views or noise."""
    entries = history_of(info)
    return [
        each["step"]
        for before, each in pairwise(entries)
        if each.get("changed") or any(each.get(key) != before.get(key) for key in ("views", "noise"))
    ]


def trained_on(info: Mapping[str, Any], step: int) -> Mapping[str, Any]:
    """The machine that trained a step, by run.json, whose own fields are those of the last command."""
    later = [each for each in history_of(info) if each["step"] >= step]
    before = history_of(info)[: -len(later)] if later else []
    return before[-1] if before else info


def choose_window(
    checkpoints: Sequence[Checkpoint], lines: Sequence[Mapping[str, Any]], steps: int, seams: Sequence[int] = ()
) -> Window | None:
    """The latest window of at most so many steps that ends at a checkpoint, else at a line; None where there is none.

    Args:
        checkpoints: Oldest first.
        lines: The records of metrics.jsonl.
        steps: The most steps.
        seams: Steps after which another configuration trained.
    """

    def trained_by(step: int) -> int:
        return sum(seam < step for seam in seams)

    def alike(first: int, last: int) -> bool:
        """Tell whether the configuration that the window is replayed with trained all of it."""
        source = configured_by(checkpoints, last)
        return trained_by(first + 1) == trained_by(last) == trained_by(last if source is None else source.step)

    starts: list[Checkpoint | None] = [None, *checkpoints]
    for by_checkpoint in (True, False):
        for start in reversed(starts):
            first = 0 if start is None else start.step
            inside = [c for c in checkpoints if first < c.step <= first + steps and alike(first, c.step)]
            logged = [line for line in lines if first < line["step"] <= first + steps and alike(first, line["step"])]
            if by_checkpoint and inside:
                end = inside[-1]
                return Window(start, end.step, end, [line for line in logged if line["step"] <= end.step])
            if not by_checkpoint and logged:
                return Window(start, logged[-1]["step"], None, logged)
    return None


def configured_by(checkpoints: Sequence[Checkpoint], last: int) -> Checkpoint | None:
    """The checkpoint whose configuration a window that ends at the step `last` is replayed with."""
    return next((c for c in checkpoints if c.step >= last), checkpoints[-1] if checkpoints else None)


def _train(
    run: Path, window: Window, checkpoints: Sequence[Checkpoint], plugins: Sequence[str], scratch: Path
) -> tuple[GenerativeModel, dict[str, Any]]:
    """Trains the window's steps in `scratch`; returns the model, and what `machine` says here."""
    after = configured_by(checkpoints, window.last)
    config = recorded(run, after) | {"plugins": list(plugins), "logger": None}
    refuse_interpolations(config, at="replay")
    settings = RunSettings.of(config)
    given, start = (embedded_again(config), begin_again(config)) if window.start is None else ({}, None)
    fits = fits_of(after, settings.model, settings)
    parts = build_parts(settings, trusted=False, given=given, start=start, fits=fits)
    info = read_info(run / RUN)
    same_data(run, info, parts.dataset)
    if changed := other_views([each for each in history_of(info) if each["step"] < window.last][-1], parts.dataset):
        span = f"steps {window.first + 1} to {window.last}"
        raise ConfigError(f"{shown(run)}: {span} cannot be replayed: {changed[0]}: verify without replay=")
    again = TrainingRun(
        name="replay",
        folder=scratch,
        dataset=parts.dataset,
        module=parts.module,
        trainer=parts.trainer,
        checkpoint=parts.checkpoint,
        samples=parts.samples,
        loggers=[],
        config=checkpoint_config(settings, parts.dataset),
        resume=None if window.start is None else (window.start.path, window.start.step),
        callbacks=parts.callbacks,
        quick=parts.quick,
        validates_last=parts.validates_last,
    )
    fit_quietly(again, window.last)
    return parts.module.model, dict(parts.here)


def _differences(window: Window, scratch: Path, model: GenerativeModel) -> Iterator[str]:
    again = [line for line in MetricsLog(scratch / METRICS).records() if line["step"] <= window.last]
    for old, new in zip(window.lines, again, strict=False):
        keys = [key for key in old if old[key] != new.get(key)]
        if keys:
            yield f"step {old['step']:,}: {keys[0]} was {old[keys[0]]} and is {new.get(keys[0], 'absent')}"
    if len(again) != len(window.lines):
        yield f"{len(window.lines)} lines were logged, and are {len(again)}"
    if window.end is not None:
        other = open_checkpoint(scratch / CHECKPOINTS / step_name(window.last))
        yield from _tensors_that_differ(upgraded(model, window.end.model()), other.model())
        training = upgraded(model, window.end.training()[0], RAW)
        yield from _tensors_that_differ(training, other.training()[0])


def _tensors_that_differ(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            yield f"{name} is in one of them only"
        elif old[name].shape != new[name].shape or old[name].dtype != new[name].dtype:
            yield f"{name} has another shape or type"
        elif not torch.equal(_bits(old[name]), _bits(new[name])):
            largest = (old[name].double() - new[name].double()).abs().max()
            yield f"{name} by up to {float(largest):.2g}"


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)

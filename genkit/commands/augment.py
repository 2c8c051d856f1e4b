"""`genkit augment`: labelled examples of a conditional model, and what they are worth as training data.

The set is written as samples are. A fixed classifier then learns from real examples, from these, from both, and from
real ones that are moved as is customary, with equal steps; the gains over real ones alone have intervals.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.note import facts_of, write_note
from genkit.assembly.output_folder import check_out, make_out
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_model import dataset_of, label_of, restore_for_sampling, title_of
from genkit.assembly.use_results import RESULTS, SCHEMA, Row, write_scores
from genkit.assembly.uses import require
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import AugmentSettings
from genkit.data.samples import SAMPLES, stream_samples_to
from genkit.data.split import Examples, Split
from genkit.errors import ConfigError, DataError
from genkit.evaluation.training_value import REAL, Comparison, TrainingValue, filtered
from genkit.models.conditional import Conditional
from genkit.models.stream import stream_samples
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.picture import draw, picture_name

PICTURED = 100
TRIES = 5  # examples drawn for each that is wanted, at most, where they are filtered
KEYS = ("n", "seed", "filter", "repeats", "classifier_steps", "batch_size", "device")


def run(settings: AugmentSettings) -> None:
    """Write the labelled examples, a picture of them, the accuracies and a note."""
    augment(settings)


def augment(settings: AugmentSettings) -> Path:
    """As `run`; returns the folder."""
    console = make_console()
    check_out(settings.out)
    assert settings.ckpt is not None  # the newest run where none is named
    found = restore_for_sampling(settings.ckpt, settings, console)
    require(found.model, "augment")
    classes = found.model.num_classes if isinstance(found.model, Conditional) else None
    if classes is None:
        raise ConfigError("genkit augment: this model is unconditional: train it with model.conditional=true")
    dataset = dataset_of(found, settings.data, settings.plugins)
    train, test = (_labelled(dataset.split(name), name) for name in ("train", "test"))
    n, started = settings.n or len(train.x), time.perf_counter()
    with memory_errors(smaller_batch("batch_size", min(settings.batch_size, n))):
        value_of = partial(
            TrainingValue, found.model.spec, train, test, classes, settings.classifier_steps, settings.seed
        )
        drawn, seen = _drawn(found, settings, train, n, value_of(train))
        value = value_of(drawn)
        with Progress(console=console, transient=True, disable=not console.is_interactive) as bar:
            task = bar.add_task("training classifiers", total=len(value.arms) * settings.repeats)
            found_arms = value.compare(settings.repeats, lambda: bar.advance(task))
    rows = _rows(found_arms, settings)
    facts = {key: settings.config[key] for key in KEYS} | {
        "kept": len(drawn.x),
        "drawn": seen,
        "training_examples": len(train.x),
        "test_examples": len(test.x),
        "seconds": round(time.perf_counter() - started, 3),
    }

    def fill(folder: Path) -> None:
        spec, title = found.model.spec, f"{title_of(found)}, labels in turn"
        stream_samples_to(folder / SAMPLES, spec, len(drawn.x), iter([(drawn.x, drawn.y)]))
        draw(folder / picture_name(spec), spec.scale(drawn.x[:PICTURED]), spec, title=title)
        write_scores(folder, rows, facts)
        write_note(folder / "augment.json", facts_of(found, settings, SCHEMA, facts))

    folder = make_out(settings.out, "augment", label_of(found), fill)
    _tell(console, found, rows, folder, f"{len(drawn.x):,} of {seen:,} drawn examples")
    return folder


def _labelled(split: Split, name: str) -> Examples:
    """All examples of a split. Raises DataError where they have no labels."""
    examples = split.take(torch.arange(len(split)))
    if examples.y is None:
        raise DataError(f"the {name} split has no labels: a classifier learns nothing from it")
    return examples


def _drawn(
    found: Restored, settings: AugmentSettings, train: Examples, n: int, of_real: TrainingValue
) -> tuple[Examples, int]:
    """n drawn examples, those whose label is confirmed where that is asked for, and how many were drawn.

    Raises DataError where none is confirmed.
    """
    most = n if settings.filter is None else TRIES * n
    batches: Iterator[Examples] = (
        Examples(found.model.spec.unscale(x, y), y)
        for x, y in stream_samples(
            found.model, most, seed=settings.seed, batch_size=min(settings.batch_size, n), like=train.y
        )
    )
    if settings.filter is None:
        parts = list(batches)
        labels = [part.y for part in parts if part.y is not None]
        return Examples(torch.cat([part.x for part in parts]), torch.cat(labels)), n
    kept, seen = filtered(batches, of_real.judge(), settings.filter, n)
    if len(kept.x) == 0:
        raise DataError(f"filter={settings.filter:g}: none of {seen:,} drawn examples is taken for its label: lower it")
    return kept, seen


def _rows(arms: list[Comparison], settings: AugmentSettings) -> list[Row]:
    """A row for each arm: its accuracy, and the gain over real examples alone."""
    real = next(arm for arm in arms if arm.arm == REAL)
    rows: list[Row] = []
    for arm in arms:
        gain, interval = arm.gain(real)
        low, high = interval or (None, None)
        rows.append(
            {
                "trained_on": arm.arm,
                "accuracy": arm.accuracy,
                "gain": gain,
                "gain_lo": low,
                "gain_hi": high,
                "repeats": settings.repeats,
                "steps": settings.classifier_steps,
            }
        )
    return rows


def _tell(console: Console, found: Restored, rows: list[Row], folder: Path, what: str) -> None:
    grid = Grid("classifier trained on", "accuracy", "gain over real [95 %]", box=None, pad_edge=False)
    for row in rows:
        gain = "" if row["trained_on"] == REAL else f"{row['gain']:+.4f} [{row['gain_lo']:+.4f}, {row['gain_hi']:+.4f}]"
        grid.add_row(row["trained_on"], f"{row['accuracy']:.4f}", gain)
    console.print(grid)
    made = {"picture": folder / picture_name(found.model.spec), "array": folder / SAMPLES, "scores": folder / RESULTS}
    score = next_command([], "eval", f"ckpt={found.checkpoint.path}")
    close(console, f"{what}: {shown(folder)}", made, [score])

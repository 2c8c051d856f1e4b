"""The files of `genkit complete` and `genkit restore`: draws, a picture of some, scores beside baselines, a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from genkit.assembly.examples import Subject, training_split
from genkit.assembly.metric_config import features_of
from genkit.assembly.sampling_model import title_of
from genkit.assembly.use_results import write_facts, write_scores
from genkit.config.settings import ComparingSettings
from genkit.data.samples import SAMPLES, write_samples
from genkit.data.tables.samples import written_rows
from genkit.data.text.samples import written_text
from genkit.errors import ConfigError
from genkit.evaluation.completion import Truth
from genkit.features.base import FeatureExtractor, RealData
from genkit.features.default import suited
from genkit.report.picture import draw, picture_name
from genkit.storage.atomic import whole_file

PICTURED, SHOWN = 8, 5  # examples in a picture, draws of each
GIVEN = "given.npz"


@dataclass(frozen=True)
class Inference:
    """Draws of every example.

    Attributes:
        subject: Model and examples.
        verb: "complete" or "restore".
        words: What was done, for titles: "lower half hidden".
        v: (n, k, *shape) stored values.
        given: (n, *shape) model values that stand for what was given in a picture.
        hidden: Bool (n, *shape) where values were hidden; None for a restoration.
        baselines: (name, (n, *shape) model values) of answers that ask no model.
    """

    subject: Subject
    verb: str
    words: str
    v: Tensor
    given: Tensor
    hidden: Tensor | None
    baselines: Sequence[tuple[str, Tensor]] = ()

    @cached_property
    def draws(self) -> Tensor:
        """(n, k, *shape) model values."""
        return self.subject.found.model.spec.scale(self.v.flatten(0, 1)).unflatten(0, tuple(self.v.shape[:2]))

    @property
    def mean(self) -> Tensor:
        """(n, *shape), of the draws."""
        return self.draws.mean(1)


def features_for(subject: Subject, settings: ComparingSettings) -> FeatureExtractor:
    """The space that examples are compared in: what features= names, the data's own network, else its raw values.

    Raises ConfigError for features that are not made for such data, and what their fitting to it raises.
    """
    spec, dataset = subject.found.model.spec, subject.dataset
    own = None if dataset is None else dataset.features
    features = suited(features_of(settings.features, spec, own, settings.plugins), spec)
    if not features.serves(spec):
        raise ConfigError(
            f"features=: {features.id} are not made for {spec.kind.name} data of {spec.shape}: leave it out"
        )
    if dataset is None:
        return features
    return features.fitted(RealData(spec, dataset.split("test"), training_split(subject)))


def truth_of(subject: Subject, hidden: Tensor | None, features: FeatureExtractor) -> Truth:
    """The examples as the truth of their hidden part."""
    spec, x = subject.found.model.spec, subject.x
    where = torch.ones_like(x, dtype=torch.bool) if hidden is None else hidden
    told = subject.conditions is not None  # a class that was told says nothing
    return Truth(spec, x, where, features, None if told else subject.y)


def write_inference(
    folder: Path, done: Inference, rows: Sequence[dict[str, Any]], own: dict[str, Any], truth: Tensor | None
) -> None:
    """All files but the folder itself.

    Args:
        folder: Where they go.
        done: The draws.
        rows: Scores; none where there is no truth.
        own: What the note says besides.
        truth: (n, *shape) model values, None where it is unknown.
    """
    spec, subject = done.subject.found.model.spec, done.subject
    v = done.v.flatten(0, 1)
    y = None if subject.y is None else subject.y.repeat_interleave(done.draws.shape[1])
    write_samples(folder / SAMPLES, spec, v, y)
    with written_rows(folder / "samples.csv", spec) as append_rows, written_text(folder, spec) as append_text:
        append_rows(v)
        append_text(v)
    _write_given(folder / GIVEN, done)
    _draw(folder, done, truth)
    if rows:
        write_scores(folder, rows, {"verb": done.verb, "words": done.words, "features": own.get("features")})
    write_facts(folder / f"{done.verb}.json", subject, own)


def _write_given(path: Path, done: Inference) -> None:
    """The model values that were given, and where values were hidden."""
    arrays = {"given": done.given.numpy(), "rows": done.subject.rows.numpy()}
    if done.hidden is not None:
        arrays["hidden"] = done.hidden.numpy()
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def picture_file(done: Inference) -> str:
    """The name of the picture."""
    spec = done.subject.found.model.spec
    return f"{done.verb}.png" if spec.drawing == "grid" else picture_name(spec)


def _draw(folder: Path, done: Inference, truth: Tensor | None) -> None:
    spec, title = done.subject.found.model.spec, f"{title_of(done.subject.found)}, {done.words}"
    path = folder / picture_file(done)
    if spec.drawing != "grid":
        draw(path, done.draws.flatten(0, 1), spec, real=truth, title=title, names=("truth", "draws"))
        return
    from genkit.report.completions import save_completions

    n, k = min(PICTURED, len(done.draws)), min(SHOWN, done.draws.shape[1])
    first = [("truth", truth[:n])] if truth is not None else [("given", done.given[:n])]
    shown = [*first, ("given", done.given[:n])]
    shown += [(f"draw {j + 1}", done.draws[:n, j]) for j in range(k)] + [("mean of all", done.mean[:n])]
    spread = None
    if done.draws.shape[1] > 1:
        coordinates = spec.kind.coordinates(done.v[:n].flatten(0, 1)).unflatten(0, (n, -1))
        spread = coordinates.std(1).mean(1)
    hidden = None if done.hidden is None else done.hidden[:n]
    save_completions(path, spec, shown, title, hidden=hidden, spread=spread)


def print_scores(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """A line for each score, a column for each source."""
    from rich.table import Table

    sources = list(dict.fromkeys(row["source"] for row in rows))
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for source in sources:
        table.add_column(source, justify="right")
    for name in dict.fromkeys(row["score"] for row in rows):
        values = {row["source"]: row for row in rows if row["score"] == name}
        arrow = {"min": " ↓", "max": " ↑"}.get(next(iter(values.values()))["better"], "")
        table.add_row(f"{name}{arrow}", *(_value(values.get(source)) for source in sources))
    console.print(table, highlight=False)


def _value(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    half = (row["hi"] - row["lo"]) / 2
    return f"{row['value']:.3g}" if half != half else f"{row['value']:.3g} ±{half:.2g}"

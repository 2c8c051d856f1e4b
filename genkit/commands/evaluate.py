"""`genkit eval`: one table of scores for checkpoints, or samples from files, each beside its floor.

ckpt=A | ckpt=[A,B]            models, scored on the data that they were trained on
samples=FILE data=digits       files of samples against a dataset
samples=A reference=B          two files, no model; with data=digits they are read as that data's values
human=answers.csv              what people answered to `genkit judge`
ckpt=A sweep.sampler.steps=[5,10,20]   one model at several settings of its sampling, as a curve

Started by `torchrun --nproc-per-node N -m genkit eval …`, N processes share the samples and give the same scores.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from genkit import __version__
from genkit.assembly.closing_lines import close
from genkit.assembly.command_line import command_line
from genkit.assembly.data_changes import say_changed
from genkit.assembly.human_scores import score_answers
from genkit.assembly.launcher import run_processes
from genkit.assembly.metric_config import features_of, metrics_named, metrics_of
from genkit.assembly.output_folder import check_out, make_out
from genkit.assembly.processes import for_drawing
from genkit.assembly.reference_data import check_sources, paths_in, reference_of, unique_names
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_model import (
    device_of,
    label_of,
    provenance,
    restore_for_sampling,
    title_of,
)
from genkit.assembly.sampling_sweep import Knob, knob_of
from genkit.assembly.sweep_value import to_minimise
from genkit.assembly.text_pictures import Picture, file_name, text_pictures
from genkit.checkpoint.newest import each_finished
from genkit.config.hydra.launch import compose_option
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import EvalSettings
from genkit.data.kinds import Drawing
from genkit.data.order import random_order
from genkit.data.samples import read_samples
from genkit.data.spec import DataSpec
from genkit.environment import Report, is_first, report
from genkit.errors import ConfigError
from genkit.evaluation import copies
from genkit.evaluation.cache import Cache, NoCache
from genkit.evaluation.document_rows import document_rows
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.neighbours import Neighbourhoods
from genkit.evaluation.record import NOT_APPLICABLE, NOT_FINITE, Record
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import ModelSource, SampleSource, Source
from genkit.metrics.base import ProbeMetric
from genkit.printing import pasteable, shown
from genkit.ranks import joined
from genkit.report.console import make_console
from genkit.report.picture import draw_neighbours
from genkit.report.results import write_csv, write_details, write_json
from genkit.report.table import print_table

PICTURED = 8  # samples in a picture of neighbours, twice
NEIGHBOURS = "samples beside their nearest training images"
SUITES: dict[Drawing, str] = {
    "grid": "suite/image",
    "scatter": "suite/points2d",
    "series": "suite/sequence",
    "tokens": "suite/sequence",
    "table": "suite/table",
    "text": "suite/text",
}  # what is scored where the user names no metric, by how the data is drawn


class Scored(NamedTuple):
    """The records, and the folder of the results; None in all processes but the first one."""

    records: list[Record]
    path: Path | None


def run(settings: EvalSettings) -> float:
    """Score everything that was named; prints a table and writes results.json and results.csv.

    Returns the first score of the first source, to be minimised, for sweepers.
    """
    first = evaluate(settings).records[0]
    return to_minimise(first.value, first.direction)


def evaluate(settings: EvalSettings) -> Scored:
    """As `run`, in as many processes as are wanted; returns everything."""
    if settings.human is not None:
        return Scored(*score_answers(settings, make_console()))
    if settings.key is not None:
        raise ConfigError("key=: it goes with human=ANSWERS.csv, the answers that it is the key of")
    if n := for_drawing(settings):
        path, records = run_processes(n)
        return Scored([Record.of(record) for record in records], Path(path))
    with joined():
        scored = _scored(settings, make_console(), is_first())
        report(Report([str(scored.path), [asdict(record) for record in scored.records]]))
        return scored


def _scored(settings: EvalSettings, console: Console, first: bool) -> Scored:
    """As `evaluate`; of several processes the first one prints and writes."""
    checkpoints = [run for path in paths_in(settings.ckpt) for run in each_finished(path)]
    files = paths_in(settings.samples)
    check_sources("eval", "scored", checkpoints, files, settings)
    device = device_of(settings.device)
    check_out(settings.out)
    knob = knob_of(settings, checkpoints)
    turns = [settings] if knob is None else [knob.settings_at(settings, value) for value in knob.values]
    models = [restore_for_sampling(path, turn, console) for path in checkpoints for turn in turns]
    reference = reference_of(settings, models)
    if reference.dataset is not None and "_target_" not in (settings.data or {}):
        say_changed(models, reference.dataset, console)
    cache = Cache() if settings.cache else NoCache()
    metrics, named = _metrics(settings, reference.spec)
    evaluator = Evaluator(
        metrics,
        features_of(settings.features, reference.spec, reference.features, settings.plugins),
        reference,
        named=named,
        batch_size=settings.batch_size,
        seed=settings.seed,
        cache=cache,
        floor_repeats=settings.floor_repeats,
        bootstrap_repeats=settings.bootstrap,
        device=device,
    )
    if knob is None:
        sources = _sources(settings, models, checkpoints, files, reference)
    else:
        sources = _turned(settings, models, knob, reference)
    started = time.perf_counter()
    with memory_errors(smaller_batch("batch_size", settings.batch_size)):
        records = _score(evaluator, sources, settings, console)
        neighbours = _neighbours(evaluator, sources, records, settings.neighbours) if first else {}
    print_table(records, console)
    if cache.problem is not None:
        console.print(cache.problem, style="dim", soft_wrap=True)
    folder = None
    if first:
        titles = _titles(models, sources, reference)
        pictures = text_pictures(evaluator, sources, titles)
        seconds = time.perf_counter() - started
        details = document_rows(evaluator)
        folder = _write(records, settings, models, knob, neighbours, pictures, details, seconds, titles)
        drawn = sorted([*folder.glob("*.png"), *folder.glob("*.html")])
        made = {"scores": folder / "results.csv"} | {path.stem: path for path in drawn}
        close(console, f"results: {shown(folder)}", made, [pasteable("compare", str(folder))])
    return Scored(records, folder)


def _metrics(settings: EvalSettings, spec: DataSpec) -> tuple[dict[str, ProbeMetric], bool]:
    """Metrics by name, and whether the user named them one by one (a suite's may be skipped)."""
    nodes, one_by_one = settings.metric, metrics_named()
    named = nodes is not None
    if nodes is None:
        nodes = compose_option("metric", SUITES[spec.drawing])
    return metrics_of(nodes, settings.plugins), one_by_one and named


def _sources(
    settings: EvalSettings,
    models: Sequence[Restored],
    checkpoints: Sequence[str],
    files: Sequence[str],
    reference: Reference,
) -> list[Source]:
    """A scored source, with a name for the table."""
    if models and reference.dataset is not None:
        n = settings.n or reference.dataset.eval_n
        names = unique_names([found.model.label for found in models], checkpoints)
        return [
            ModelSource(found.model, n, name, origin=provenance(found, settings))
            for found, name in zip(models, names, strict=True)
        ]
    names = unique_names([Path(path).stem for path in files], files)
    return [_some_of(path, reference.spec, name, settings) for path, name in zip(files, names, strict=True)]


def _turned(settings: EvalSettings, models: Sequence[Restored], knob: Knob, reference: Reference) -> list[Source]:
    """One checkpoint at each value of a knob."""
    if reference.dataset is None:
        raise ConfigError(f"sweep.{knob.key}: it takes a checkpoint that is scored on a dataset")
    n = settings.n or reference.dataset.eval_n
    return [
        ModelSource(found.model, n, knob.label(value), origin={**provenance(found, settings), knob.key: value})
        for found, value in zip(models, knob.values, strict=True)
    ]


def _some_of(path: str, spec: DataSpec, name: str, settings: EvalSettings) -> SampleSource:
    """The samples of a file, or n= of them, drawn at random: the first ones of a sorted file are no sample of it."""
    samples, n, seed = read_samples(path, spec), settings.n, settings.seed
    if n is None or n == len(samples):
        return SampleSource(samples, name)
    if n > len(samples):
        raise ConfigError(f"n={n}: {shown(path)} holds {len(samples):,} samples")
    rows = random_order(samples, n, seed)
    return SampleSource(samples[rows], name, {"of": len(samples), "seed": seed}, rows)


def _score(
    evaluator: Evaluator,
    sources: Sequence[Source],
    settings: EvalSettings,
    console: Console,
) -> list[Record]:
    with console.status("scoring") as status:
        records = evaluator.score(*sources, starting=lambda source: status.update(f"scoring {source.label}"))
        _refuse_unscored(records)
        if settings.baselines:
            status.update("scoring baselines")
            chosen = None if settings.baselines is True else settings.baselines
            records += evaluator.score_baselines(sources[0].n, chosen)
    return records


def _refuse_unscored(records: Sequence[Record]) -> None:
    """Raises ConfigError where no metric at all could score anything."""
    if not any(record.scored or record.status == NOT_FINITE for record in records):
        first = records[0]
        reason = first.status.removeprefix(NOT_APPLICABLE)
        raise ConfigError(f"no metric can score {first.source}, {first.metric} for one: {reason}")


def _neighbours(
    evaluator: Evaluator, sources: Sequence[Source], records: Sequence[Record], rows: int | None
) -> dict[str, tuple[str, Neighbourhoods]]:
    """By the picture's name, with each source's label; unless told otherwise, of those looked up for copies anyway."""
    looked_up = {record.source for record in records if record.metric in copies.TESTS and record.scored}
    chosen = [source for source in sources if rows or (rows is None and source.label in looked_up)]
    found = [(source.label, evaluator.neighbours(source, rows or PICTURED)) for source in chosen]
    several = len(sources) > 1
    return {
        file_name("neighbours", ".png", i, label, several): (label, pictured)
        for i, (label, pictured) in enumerate(found, 1)
        if pictured is not None
    }


def _titles(models: Sequence[Restored], sources: Sequence[Source], reference: Reference) -> dict[str, str]:
    """Titles of the pictures of each source, by its label: model, data and step, or the name of a file."""
    if not models or len(models) != len(sources):
        return {source.label: f"{source.label}, judged by {reference.name}" for source in sources}
    pairs = [(source.label, found.model.label, title_of(found)) for source, found in zip(sources, models, strict=True)]
    return {label: title if label == model else f"{title} ({label})" for label, model, title in pairs}


def _write(
    records: Sequence[Record],
    settings: EvalSettings,
    models: Sequence[Restored],
    knob: Knob | None,
    neighbours: Mapping[str, tuple[str, Neighbourhoods]],
    pictures: Mapping[str, Picture],
    details: Mapping[str, Sequence[Mapping[str, Any]]],
    seconds: float,
    titles: Mapping[str, str],
) -> Path:
    meta = {"genkit": __version__, "command": command_line(), "seconds": round(seconds, 3)}

    def fill(folder: Path) -> None:
        write_json(folder / "results.json", records, meta)
        write_csv(folder / "results.csv", records)
        for name, rows in details.items():
            write_details(folder / f"{name}.csv", rows)
        if knob is not None:
            _draw_curve(folder, records, knob, title_of(models[0]))
        for name, draw in pictures.items():
            draw(folder / name)
        for name, (label, found) in neighbours.items():
            title = f"{titles[label]}: {NEIGHBOURS}"
            draw_neighbours(folder / name, found.first, found.closest, found.spec, title)

    return make_out(settings.out, "eval", label_of(models[0]) if models else "samples", fill)


def _draw_curve(folder: Path, records: Sequence[Record], knob: Knob, title: str) -> None:
    from genkit.report.sampling_curve import Curve, save_curve, write_curve  # matplotlib costs half a second

    values = {knob.label(value): value for value in knob.values}
    curve = Curve(knob.key, [(values[record.source], record) for record in records if record.source in values])
    write_curve(folder / "curve.csv", curve)
    save_curve(folder / "curve.png", curve, f"{title}: scores over {knob.key}")

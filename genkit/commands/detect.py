"""`genkit detect`: how anomalous a model takes examples to be, and how well that tells outliers from normal data.

Every score that the model has is computed, beside baselines that know no model: none of them is best against all
outliers, and a raw likelihood takes blank images for more normal than data.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from genkit.assembly.closing_lines import close
from genkit.assembly.detection import Compared, comparisons, scored, scores_of
from genkit.assembly.examples import Subject, subject_of
from genkit.assembly.output_folder import check_out
from genkit.assembly.sampling_model import title_of
from genkit.assembly.use_results import result_folder, write_facts, write_scores
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import DetectSettings
from genkit.evaluation.anomaly_scores import AnomalyScore
from genkit.evaluation.scored_set import Floats, ScoredSet
from genkit.metrics.ranking_scores import separation
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.grid import save_grid
from genkit.report.separation_table import print_separations
from genkit.storage.atomic import whole_file

USUAL = 1000  # examples
EXTREMES = 8  # most and least typical examples of each score in the picture
SCORES, PICTURE, NOTE = "scores.csv", "extremes.png", "detect.json"
NORMAL = "normal"

Scored = dict[str, Floats]  # score -> (n,)


def run(settings: DetectSettings) -> None:
    """Write scores of all examples, how well they separate, and a picture of the most and the least typical."""
    detect(settings)


def detect(settings: DetectSettings) -> Path:
    """As `run`; returns the folder."""
    console = make_console()
    check_out(settings.out)
    subject = subject_of("detect", settings, console, USUAL)
    started = time.perf_counter()
    own = scored(subject, subject.v, subject.conditions)
    with memory_errors(smaller_batch("batch_size", min(settings.batch_size, len(subject.v)))):
        sets = list(comparisons(subject, own, settings))
        scores = scores_of(subject, own, settings)
        found: dict[int, Scored] = {}
        everything = {id(one): one for one in (own, *(side for pair in sets for side in (pair.normal, pair.outliers)))}
        with Progress(console=console, transient=True, disable=not console.is_interactive) as bar:
            task = bar.add_task("scoring", total=len(everything) * len(scores))
            for key, one in everything.items():
                found[key] = {}
                for score in scores:
                    found[key][score.name] = score(one)
                    bar.advance(task)
    rows = [_row(pair, score, found, settings) for pair in sets for score in scores]
    facts = {
        "scores": {score.name: score.words for score in scores},
        "against": [pair.name for pair in sets],
        "bootstrap": settings.bootstrap,
        "seconds": round(time.perf_counter() - started, 3),
    }

    def fill(folder: Path) -> None:
        write_facts(folder / NOTE, subject, facts)
        write_scores(folder, rows or _means(scores, found[id(own)]), {"source": subject.source, "n": len(subject.v)})
        with whole_file(folder / SCORES) as file:
            file.write(_table(subject, own, sets, scores, found).encode())
        if subject.found.model.spec.drawing == "grid":
            _picture(folder / PICTURE, subject, scores, found[id(own)])

    folder = result_folder("detect", subject, fill)
    title = f"{title_of(subject.found)}: {shown(subject.source)}, {len(subject.v):,} examples"
    print_separations(
        console, title, rows, {score.name: score.words for score in scores}, [p.name for p in sets if p.fools]
    )
    made: dict[str, object] = {"scores": folder / SCORES}
    if (folder / PICTURE).exists():
        made["picture"] = folder / PICTURE
    count = "1 example" if len(subject.v) == 1 else f"{len(subject.v):,} examples"
    close(console, f"{count} scored: {shown(folder)}", made, [])
    return folder


def _row(pair: Compared, score: AnomalyScore, found: dict[int, Scored], settings: DetectSettings) -> dict[str, Any]:
    normal, outliers = (found[id(side)][score.name] for side in (pair.normal, pair.outliers))
    told = separation(normal, outliers, resamples=settings.bootstrap, seed=settings.seed)
    return {
        "score": score.name,
        "against": pair.name,
        "value": told.auroc,
        "ci95": told.auroc_ci95,
        "average_precision": told.average_precision,
        "average_precision_ci95": told.average_precision_ci95,
        "n_normal": len(normal),
        "n_outliers": len(outliers),
        "baseline": score.baseline,
    }


def _means(scores: Sequence[AnomalyScore], found: Scored) -> list[dict[str, Any]]:
    """Rows where there is nothing to compare with."""
    return [
        {"score": score.name, "value": float(found[score.name].mean()), "n": len(found[score.name])} for score in scores
    ]


def _table(
    subject: Subject, own: ScoredSet, sets: Sequence[Compared], scores: Sequence[AnomalyScore], found: dict[int, Scored]
) -> str:
    """Lines of scores.csv: an example, its set, and each score; of suspected examples also how rare such a score is.

    "rarer" is the share of normal examples with a score at least as high.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [score.name for score in scores]
    suspected = next((pair for pair in sets if pair.outliers is own), None)
    writer.writerow(["example", "set", *names, *(f"rarer_{name}" for name in names if suspected)])
    for i, example in enumerate(subject.names):
        values = [found[id(own)][name][i] for name in names]
        rare = _rarities(found[id(suspected.normal)], found[id(own)], names, i) if suspected else []
        writer.writerow(
            [
                example,
                "suspected" if suspected else NORMAL,
                *(f"{value:.6g}" for value in values),
                *(f"{r:.4f}" for r in rare),
            ]
        )
    for pair in sets:
        if pair.outliers is own:
            continue
        for i in range(len(pair.outliers.v)):
            writer.writerow([i, pair.name, *(f"{found[id(pair.outliers)][name][i]:.6g}" for name in names)])
    return file.getvalue()


def _rarities(normal: Scored, own: Scored, names: Sequence[str], i: int) -> list[float]:
    """Shares of normal examples whose scores are at least those of example i."""
    return [float((normal[name] >= own[name][i]).mean()) for name in names]


def _picture(path: Path, subject: Subject, scores: Sequence[AnomalyScore], found: Scored) -> None:
    """For each score a row of the most and a row of the least typical examples."""
    spec, count = subject.found.model.spec, min(EXTREMES, len(subject.v))
    tiles, labels = [], []
    for score in scores:
        order = torch.from_numpy(np.argsort(found[score.name], kind="stable"))
        for words, index in (("most typical", order[:count]), ("least typical", order.flip(0)[:count])):
            tiles.append(spec.scale(subject.v[index]))
            labels.append(f"{score.name}: {words}")
    save_grid(
        path,
        torch.cat(tiles),
        spec,
        columns=count,
        rows=labels,
        title=f"{title_of(subject.found)}: {subject.source}, {len(subject.v):,} examples by their scores",
    )

"""`genkit explore`: the latent space of a model as pictures, animations and one page.

Paths, traversals, attributes and neighbours, each where the model and its data have it
(`genkit/assembly/exploration.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.examples import Subject, subject_of
from genkit.assembly.exploration import Exploration, Panel, chosen
from genkit.assembly.latent_pictures import real_points
from genkit.assembly.output_folder import check_out
from genkit.assembly.sampling_model import title_of
from genkit.assembly.use_results import RESULTS, result_folder, write_facts, write_scores
from genkit.config.build import build
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import ExploreSettings
from genkit.models.interpolation import Interpolation
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.moving_rows import moments, moving, save_animation, save_page, score_table, still
from genkit.report.picture import draw_rows

USUAL = 8  # examples
PAGE = "explore.html"


def run(settings: ExploreSettings) -> None:
    """Write a picture of each panel, animations of those that move, a page of all, scores and a note."""
    explore(settings)


def explore(settings: ExploreSettings) -> Path:
    """As `run`; returns the folder."""
    console = make_console()
    check_out(settings.out)
    subject = subject_of("explore", settings, console, USUAL)
    path = build(settings.interpolation, at="interpolation", expect=Interpolation, plugins=settings.plugins)
    started = time.perf_counter()
    with torch.no_grad(), memory_errors(smaller_batch("batch_size", settings.batch_size)):
        panels = chosen(Exploration(subject, path), settings.show)
    seconds = round(time.perf_counter() - started, 3)

    def fill(folder: Path) -> None:
        _draw(folder, subject, panels)
        scores = [row for panel in panels for row in panel.scores]
        own = {"show": [panel.name for panel in panels], "interpolation": settings.interpolation, "seconds": seconds}
        write_scores(folder, scores, {"source": subject.source, "n": len(subject.v)})
        write_facts(folder / "explore.json", subject, own)

    folder = result_folder("explore", subject, fill)
    _tell(console, subject, panels, folder)
    return folder


def _draw(folder: Path, subject: Subject, panels: Sequence[Panel]) -> None:
    """The pictures and, of images, the animations and the page."""
    spec, title = subject.found.model.spec, title_of(subject.found)
    real = None
    if spec.drawing == "scatter" and subject.dataset is not None:
        real = real_points(subject.dataset, spec)
    parts = []
    for panel in panels:
        picture = folder / f"{panel.name}.png"
        draw_rows(picture, panel.frames, spec, real, f"{title}: {panel.words}", panel.rows, panel.heads)
        figures = still(picture.read_bytes(), panel.words)
        if panel.moves and spec.drawing == "grid":
            save_animation(folder / f"{panel.name}.gif", moments(panel.frames, spec, f"{title}: {panel.words}"))
            figures += moving(moments(panel.frames, spec), panel.words)
        parts.append((panel.name, panel.words, figures + score_table(panel.scores)))
    save_page(folder / PAGE, title, parts)


def _tell(console: Console, subject: Subject, panels: Sequence[Panel], folder: Path) -> None:
    for panel in panels:
        for row in panel.scores if panel.name != "traversal" else ():
            console.print(f"{panel.name}: {row['score']}  {row['value']:.3g}", soft_wrap=True, highlight=False)
    made = {panel.name: folder / f"{panel.name}.png" for panel in panels}
    made |= {"page": folder / PAGE, "scores": folder / RESULTS}
    again = next_command(subject.settings.plugins, "sample", f"ckpt={subject.found.checkpoint.path}")
    close(console, f"{len(panels)} panels of {len(subject.v):,} examples: {shown(folder)}", made, [again])

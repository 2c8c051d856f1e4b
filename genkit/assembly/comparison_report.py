"""`report.html` of several runs: of a sweep's folder, or of runs that were named together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genkit.assembly.closing_lines import REPORT, next_command
from genkit.assembly.config_differences import flat, written
from genkit.assembly.recorded_scores import comparable, results_of
from genkit.assembly.run_facts import RunFacts, facts_of
from genkit.assembly.run_report import LARGEST, best_of, frames_of, tiles_of
from genkit.config.hydra.sweep_index import INDEX
from genkit.errors import GenkitError
from genkit.printing import one_line, shown
from genkit.report.page.comparison_page import ComparisonPage, RunColumn, comparison_page
from genkit.report.page.frames import FilmFrame
from genkit.report.page.thinning import thinned
from genkit.storage.atomic import whole_file
from genkit.storage.regular import read_regular

PICTURES = {"sweep.png": "scores of the jobs", "pareto.png": "the Pareto set"}
MOST = 200  # runs of a page


def write_comparison(
    runs: Sequence[Path], target: Path, folder: Path | None = None, scores: Sequence[Path] = (), command: str = ""
) -> Path:
    """Write the report of several runs; returns its path.

    Args:
        runs: Their folders.
        target: The HTML file.
        folder: Of a sweep, whose pictures are shown.
        scores: Results of `genkit eval` besides those that are found.
        command: That made them.

    Raises:
        StorageError: it cannot be written.
    """
    page = comparison_page(content_of(runs, target, folder, scores, command))
    with whole_file(target) as file:
        file.write(page.encode("utf-8"))
    return target


def report_of_sweep(folder: Path, runs: Sequence[Path], command: str) -> None:
    """Write the report of a sweep that has ended, however it has; where that fails, it has none."""
    with suppress(Exception):
        if not folder.is_dir():  # it was moved away, and is not made again
            return
        write_comparison(runs, folder / REPORT, folder, command=command)


def sweep_command(folder: Path) -> str:
    """The command that a sweep's folder was made by, "" where it does not say."""
    with suppress(GenkitError, ValueError, RecursionError):
        index = json.loads(read_regular(folder / INDEX, LARGEST, inside=folder))
        command = index.get("command") if isinstance(index, dict) else None
        return one_line(command) if isinstance(command, str) else ""
    return ""


def content_of(
    runs: Sequence[Path], target: Path, folder: Path | None, scores: Sequence[Path], command: str
) -> ComparisonPage:
    """The content of the page."""
    found = [facts_of(run) for run in runs[:MOST]]
    notes = [note for facts in found for note in facts.notes]
    if len(runs) > MOST:
        notes.append(f"{len(runs) - MOST:,} more runs are not shown")
    files = results_of(list(runs), scores)
    compared: dict[str, Any] = comparable(files, notes) if files else {}
    titles = list(dict.fromkeys(facts.title for facts in found))
    title = f"{', '.join(titles) if len(titles) <= 2 else f'{len(titles)} models'}: {len(runs):,} runs"
    plugins = list(dict.fromkeys(name for facts in found for name in facts.plugins))
    named = [f"ckpt={folder}"] if folder is not None else [f"ckpt=[{','.join(map(str, runs))}]"]
    commands = [("How they were made:", command)] if command else []
    if not compared and any(facts.status == "done" for facts in found):
        commands.append(("Score them:", next_command(plugins, "eval", *named)))
    return ComparisonPage(
        title=title,
        folder=shown(folder) if folder is not None else ", ".join(map(shown, runs[:4])),
        tiles=_tiles(found),
        runs=[column_of(facts, target.parent) for facts in found],
        pictures=_pictures(folder),
        scores=compared,
        differences=differing([facts.config for facts in found]),
        notes=list(dict.fromkeys(notes)),
        commands=commands,
    )


def column_of(facts: RunFacts, start: Path) -> RunColumn:
    """A run as the page shows it, its own report linked where it has one."""
    values = facts.info.get("values")
    rows = {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}
    known = {name: str(value) for name, value in tiles_of(facts).items()}
    rows |= {name: value for name, value in known.items() if name not in rows}
    report = facts.path / REPORT
    link = os.path.relpath(report.absolute(), start.absolute()) if report.is_file() else ""
    pictures = frames_of(facts.pictures()[-1:])
    series = {key: thinned(points) for key, points in facts.series.items() if key.split("/")[0] in ("train", "val")}
    return RunColumn(shown(facts.path.name, 120), link, rows, series, pictures[0] if pictures else None)


def differing(configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The keys in which configurations differ, with the value in each."""
    known = [dict(flat(config)) for config in configs]
    keys = dict.fromkeys(key for config in known for key in config)
    rows = [(key, [written(config[key]) if key in config else "" for config in known]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _tiles(found: Sequence[RunFacts]) -> dict[str, object]:
    done = sum(facts.status == "done" for facts in found)
    tiles: dict[str, object] = {"done": f"{done:,} of {len(found):,}"}
    if not (scored := [(best, facts) for facts in found if (best := best_of(facts.info)) is not None]):
        return tiles
    monitors = {best[0] for best, _ in scored}
    modes = {(facts.info.get("best") or {}).get("mode") for _, facts in scored}
    if len(monitors) == 1 and len({facts.title for _, facts in scored}) == 1 and modes <= {"min", "max"}:
        choose = min if modes == {"min"} else max
        best, facts = choose(scored, key=lambda each: each[0][1])
        tiles[f"best {best[0]}"] = f"{best[1]:.4g}"
        tiles["of"] = shown(facts.path.name, 80)
    return tiles


def _pictures(folder: Path | None) -> list[FilmFrame]:
    frames = []
    for name, words in PICTURES.items() if folder is not None else ():
        assert folder is not None
        with suppress(GenkitError):
            frames.append(FilmFrame(words, read_regular(folder / name, LARGEST, inside=folder)))
    return frames

"""`report.html` of a run: what its folder says, as one page that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genkit.assembly.closing_lines import REPORT, next_command
from genkit.assembly.config_differences import differences, parts_of, written
from genkit.assembly.diagnosis import faults_of
from genkit.assembly.recorded_scores import comparable, results_of
from genkit.assembly.run_facts import RunFacts, facts_of
from genkit.checkpoint.retention import pointed, step_folders
from genkit.config.memory import shown_bytes
from genkit.diagnosis.rules import RULES
from genkit.errors import GenkitError
from genkit.printing import one_line, shown
from genkit.report.page.axes import written as number
from genkit.report.page.frames import BUDGET, FilmFrame, chosen, fitting
from genkit.report.page.run_page import HistoryEntry, RunPage, run_page
from genkit.storage.atomic import whole_file
from genkit.storage.regular import read_regular

LARGEST = 32 * 2**20  # bytes of a picture
REAL = "real.png"
DAY, HOUR, MINUTE = 86_400, 3_600, 60


def write_report(run: Path, out: Path | None = None, scores: Sequence[Path] = ()) -> Path:
    """Write the report of a run into its folder, or to `out`; returns its path.

    Args:
        run: The folder.
        out: The HTML file.
        scores: Results that belong to it besides those that are found.

    Raises:
        StorageError: it cannot be written.
    """
    target = run / REPORT if out is None else out
    page = run_page(page_of(facts_of(run), scores))
    with whole_file(target) as file:
        file.write(page.encode("utf-8"))
    return target


def report_at_end(run: Path) -> None:
    """Write the report of a run that has ended, however it has; where that fails, it has none."""
    with suppress(Exception):
        if run.is_dir():  # else it was moved away, and is not made again
            write_report(run)


def page_of(facts: RunFacts, scores: Sequence[Path] = ()) -> RunPage:
    """The content of the page."""
    notes = list(facts.notes)
    compared: dict[str, Any] = {}
    files = results_of([facts.path], scores)
    if files:
        compared = comparable(files, notes)
    notes += [f"{key} was not finite at step {step:,}" for key, step in list(facts.broken.items())[:4]]
    return RunPage(
        title=facts.title,
        folder=shown(facts.path),
        tiles=tiles_of(facts),
        well=facts.well,
        findings=faults_of(facts, files),
        examined=len(RULES),
        samples=fitting(frames_of(facts.pictures()), BUDGET * 3 // 4),
        real=frames_of([facts.path / REAL]) if (facts.path / REAL).is_file() else (),
        pairs=fitting(frames_of(facts.pictures(reconstructions=True)), BUDGET // 4),
        series=facts.series,
        scores=compared,
        notes=notes,
        costs=costs_of(facts.info),
        environment=environment_of(facts),
        parts=parts_of(facts.config),
        differences=differences(facts.config),
        history=[_entry(each) for each in facts.history if each.get("command")],
        next=next_of(facts, bool(compared)),
    )


def tiles_of(facts: RunFacts) -> dict[str, object]:
    """Facts to know first of a run."""
    info, found = facts.info, dict[str, object]()
    found["status"] = facts.status
    found["step"] = f"{facts.step:,}" + ("" if facts.steps is None else f" of {facts.steps:,}")
    if (best := best_of(info)) is not None:
        found[f"best {best[0]}"] = f"{number(best[1])} at step {best[2]:,}"
    for name, value in (("wall time", info.get("wall_time")), ("CPU time", info.get("cpu_seconds"))):
        if isinstance(value, int | float) and value > 0:
            found[name] = duration(value)
    if isinstance(parameters := info.get("parameters"), int):
        found["parameters"] = f"{parameters:,}"
    if isinstance(info.get("seed"), int):
        found["seed"] = info["seed"]
    return found


def best_of(info: Mapping[str, Any]) -> tuple[str, float, int] | None:
    """The monitored term, its best value, and at which step."""
    best = info.get("best") or {}
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        return str(best["monitor"]), float(best["value"]), int(best["step"])
    return None


def costs_of(info: Mapping[str, Any]) -> dict[str, object]:
    """The costs that run.json has."""
    names = {"wall_time": "wall time", "cpu_seconds": "CPU time", "parameters": "parameters"}
    names |= {"examples_seen": "training examples seen", "sampling_seconds": "time of sampling"}
    names |= {"peak_memory": "peak memory", "peak_gpu_memory": "peak memory of the GPU"}
    found: dict[str, object] = {}
    for key, name in names.items():
        value = info.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        found[name] = COST_WORDS.get(key, "{:,}".format)(value)
    return found


def environment_of(facts: RunFacts) -> dict[str, object]:
    """The machine and the versions, as far as run.json has them."""
    last = facts.history[-1]
    found = {key: last.get(key, facts.info.get(key)) for key in ("device", "precision", "threads", "processes", "git")}
    found["platform"] = last.get("platform")
    versions = last.get("versions", facts.info.get("versions"))
    if isinstance(versions, dict):
        found |= {str(name): version for name, version in versions.items()}
    found["started"], found["ended"] = facts.info.get("started"), facts.info.get("ended")
    return {key: value for key, value in found.items() if value is not None}


def frames_of(paths: Sequence[Path]) -> list[FilmFrame]:
    """The pictures whose files can be read, named by their steps."""
    frames = []
    for path in chosen(paths):
        with suppress(GenkitError):
            step = path.stem.removeprefix("step-").partition("-")[0]
            name = f"step {int(step):,}" if step.isdecimal() else path.stem
            frames.append(FilmFrame(name, read_regular(path, LARGEST, inside=path.parent)))
    return frames


def next_of(facts: RunFacts, scored: bool) -> list[tuple[str, str]]:
    """The commands that come next, each with what it does."""
    run, plugins = facts.path, facts.plugins
    if not facts.well:
        return [("Continue it:", next_command(plugins, "train", f"resume={run}"))]
    if not step_folders(run):
        return []
    used = run / "best" if pointed(run, "best") not in (None, pointed(run, "latest")) else run
    found = [("Draw samples:", next_command(plugins, "sample", f"ckpt={used}"))]
    if not scored:
        found.append(("Score it:", next_command(plugins, "eval", f"ckpt={used}")))
    steps = facts.steps
    if steps is not None and facts.status == "done":
        longer = next_command(plugins, "train", f"resume={run}", f"trainer.max_steps={2 * steps}")
        found.append(("Train it for longer:", longer))
    return found


def duration(seconds: float) -> str:
    """ "2 h 13 min", "47 s"."""
    for size, unit, below, smaller in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // below)} {smaller}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


COST_WORDS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("wall_time", "cpu_seconds", "sampling_seconds"), duration),
    **dict.fromkeys(("peak_memory", "peak_gpu_memory"), shown_bytes),
}


def _entry(entry: Mapping[str, Any]) -> HistoryEntry:
    changed = entry.get("changed") or {}
    rows = [(str(key), written(pair[0]), written(pair[1])) for key, pair in changed.items()]
    command = one_line(str(entry.get("command")))
    return HistoryEntry(int(entry.get("step", 0)), str(entry.get("time")), command, rows)


def relative(path: Path, start: Path) -> str:
    """The address of a file from the folder of a page."""
    return os.path.relpath(path, start)

"""The jobs of `genkit train -m`: runs, matched by configuration and not by number.

A sweep is typed again, longer or with other values in front, and every job finds the run that has its configuration: it
is left alone where it was trained that far, continued where it broke or should become longer. Runs say themselves what
they are, in run.json, so a sweep survives without its sweep.json.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard, cast

from genkit.assembly.closing_lines import next_command
from genkit.assembly.comparison_report import report_of_sweep
from genkit.assembly.identity import identity_of, identity_to_be
from genkit.assembly.labels import label_in_words
from genkit.assembly.resume_checks import MAX_STEPS
from genkit.checkpoint.place import runs_below
from genkit.checkpoint.run_folder import METRICS, RUN, read_info
from genkit.config.dotted_keys import lookup
from genkit.config.hydra.grid import without
from genkit.config.hydra.job_kind import Known, SearchKind
from genkit.config.hydra.paths import quoted
from genkit.config.hydra.sweep import DONE, PRUNED, SKIPPED, Sweep, SweepJob, short_keys
from genkit.config.hydra.sweep_table import near
from genkit.config.settings import Settings, TrainSettings
from genkit.errors import GenkitError
from genkit.printing import shown
from genkit.storage.tail import last_line

PICTURE, PARETO = "sweep.png", "pareto.png"
COSTS = {
    "parameters": "parameters",
    "train_seconds": "wall_time",
    "sampling_seconds": "sampling_seconds",
}  # in run.json
TITLED = 2  # models in a title


class Trainings(SearchKind):
    """Runs below `run_dir=`."""

    key = "run_dir"

    def place(self, settings: Settings) -> Path | None:
        """The run that a job continues because it was typed so."""
        resume = cast(TrainSettings, settings).resume
        return None if resume is None or resume == "auto" else Path(resume)

    def match(self, folder: Path, jobs: Sequence[tuple[SweepJob, Settings]], known: Sequence[Known]) -> None:
        for job, settings in jobs:
            job.steps, job.devices = lookup(settings.config, MAX_STEPS), lookup(settings.config, "trainer.devices") or 1
        found = [(path, about) for path in runs_below(folder) if (about := identity_of(path)) is not None]
        if not found:
            return
        steps_swept = any(MAX_STEPS in job.values for job, _ in jobs)
        for job, settings in jobs:
            typed = cast(TrainSettings, settings)
            wanted = identity_to_be(typed)
            alike = [(path, about["max_steps"]) for path, about in found if _same(about, wanted)]
            exact = [path for path, steps in alike if steps == wanted["max_steps"]]
            if exact:
                _goes_on(job, exact[0], wanted["max_steps"], wanted["max_steps"])
            elif alike and not steps_swept:
                _goes_on(job, *max(alike, key=lambda each: each[1]), wanted["max_steps"])

    def fingerprint(self, settings: Settings) -> Mapping[str, Any]:
        return identity_to_be(cast(TrainSettings, settings))

    def goes_on(self, job: SweepJob, settings: Settings, folder: Path) -> bool:
        job.steps, job.devices = lookup(settings.config, MAX_STEPS), lookup(settings.config, "trainer.devices") or 1
        about = identity_of(folder) if (folder / RUN).is_file() else None
        wanted = identity_to_be(cast(TrainSettings, settings))
        if about is None or not _same(about, wanted):
            return False
        _goes_on(job, folder, about["max_steps"], wanted["max_steps"])
        return True

    def taken(self, folder: Path) -> list[str]:
        return [path.name for path in runs_below(folder)]

    def refresh(self, job: SweepJob, sweep: Sweep) -> None:
        if job.folder is None or not (job.folder / RUN).is_file():
            return
        try:
            info = read_info(job.folder / RUN)
        except GenkitError:
            return
        best = info.get("best") or {}
        job.label, job.score = str(info.get("label", "")), _finite(best.get("value"))
        job.step = info.get("step") if job.exit_code is not None or job.pid is None else _step_of(job.folder)
        costs = {name: _finite(info.get(COSTS[name])) for name in sweep.costs}
        job.costs = {name: cost for name, cost in costs.items() if cost is not None}
        if info.get("pruned") is True and job.status in (DONE, SKIPPED):
            job.status = PRUNED
        if sweep.asked is None:
            sweep.score, sweep.mode = str(best.get("monitor") or sweep.score), best.get("mode") or sweep.mode

    def conclude(self, sweep: Sweep) -> None:
        scored = [job for job in sweep.jobs.values() if job.score is not None]
        if sweep.folder is None or not any(_is_run(job.folder) for job in sweep.jobs.values()):
            return
        if len(scored) > 1:
            with suppress(Exception):  # a picture that fails takes nothing away
                _draw(sweep, scored)
            with suppress(Exception):
                _draw_pareto(sweep)
        report_of_sweep(sweep.folder, [job.folder for job in sweep.jobs.values() if _is_run(job.folder)], sweep.command)
        plugins = _plugins(sweep)
        if chosen := [str(near(job.folder)) for job in sweep.pareto_set if job.folder is not None]:
            sweep.next.append(next_command(plugins, "eval", f"ckpt=[{','.join(chosen)}]"))
        best = sweep.best
        if best is not None and best.folder is not None:
            sweep.next.append(next_command(plugins, "eval", f"ckpt={near(best.folder)}"))
        if runs_below(sweep.folder):
            sweep.next.append(next_command(plugins, "eval", f"ckpt={near(sweep.folder)}"))


def _is_run(folder: Path | None) -> TypeGuard[Path]:
    return folder is not None and (folder / RUN).is_file()


def _same(about: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return bool(about["config_sha256"] == wanted["config_sha256"])


def _goes_on(job: SweepJob, path: Path, made_for: int, wanted: int) -> None:
    """Note that a job's run stands: it is done, or the words continue it."""
    job.folder = path
    done = False
    with suppress(GenkitError):  # a damaged run.json is the job's own to refuse
        done = read_info(path / RUN)["status"] == "done"
    if done and made_for >= wanted:
        job.status = SKIPPED
        return
    longer = [MAX_STEPS] if made_for > wanted else []
    job.words = (*without(job.words, "run_dir", "resume", "allow", *longer), f"resume={quoted(str(path))}")


def _step_of(run: Path) -> int | None:
    """The step of the last line of metrics.jsonl."""
    record = last_line(run / METRICS)
    return record.get("step") if isinstance(record, dict) else None


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _plugins(sweep: Sweep) -> list[str]:
    """The packages that the jobs were started with."""
    from genkit.config.hydra.words import parse

    return [*parse([word for job in sweep.jobs.values() for word in job.overrides], lenient=True).plugins]


def _draw_pareto(sweep: Sweep) -> None:
    """The picture of two objectives of a search, the score and a cost, or two costs."""
    from genkit.report.pareto import ScoredCost, save_pareto

    if sweep.folder is None or len(sweep.objectives) != 2:
        return
    score, cost = sweep.objectives
    found = {job.number: values for job in sweep.jobs.values() if (values := sweep.values_of(job)) is not None}
    jobs = [sweep.jobs[number] for number in found]
    points = [
        ScoredCost(job.number, cost=found[job.number][1], score=found[job.number][0], in_set=job.in_pareto_set)
        for job in jobs
    ]
    title = f"{_trained(jobs)}: {len(points):,} trials"
    mode = (sweep.mode or "min") if score == sweep.score else "min"
    save_pareto(sweep.folder / PARETO, points, cost, shown(score, 80), mode, title)
    sweep.pareto_picture = sweep.folder / PARETO


def _trained(jobs: Sequence[SweepJob]) -> str:
    """Name models and data of jobs, for a title."""
    trained = dict.fromkeys(label_in_words(job.label) for job in jobs)
    return shown(", ".join(trained), 80) if len(trained) <= TITLED else f"{len(trained):,} models"


def _draw(sweep: Sweep, scored: Sequence[SweepJob]) -> None:
    from genkit.report.sweep_curve import save_sweep  # matplotlib costs half a second
    from genkit.report.sweep_panels import Point

    assert sweep.folder is not None
    names = short_keys(sweep.keys)
    points = [
        Point({names[key]: value for key, value in job.values.items()}, float(job.score or 0.0)) for job in scored
    ]
    mode = sweep.mode if sweep.rankable else None
    title = f"{_trained(scored)}: {len(points):,} jobs"
    save_sweep(sweep.folder / PICTURE, points, shown(sweep.score, 80), mode, title)
    sweep.picture = sweep.folder / PICTURE

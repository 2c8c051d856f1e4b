"""`genkit train`: build everything, then make the run folder, then train; or continue a run exactly.

Nothing is written before all of the configuration was built: a refused command leaves nothing behind.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from genkit.assembly.batch_search import fitted, is_automatic, provisional
from genkit.assembly.budgeting import (
    Bookkeeper,
    budget_of,
    clock_of,
    line_of,
    planned,
    refuse_both,
    taken_further,
    with_later_corrections,
)
from genkit.assembly.closing_lines import close_training, draw_animation, draw_losses, next_command
from genkit.assembly.command_line import command_line
from genkit.assembly.continuation import best_score, best_until, fits_of, recorded, same_data, taking_over
from genkit.assembly.diagnosis import tell_shortly
from genkit.assembly.early_end import stopped, stopped_line
from genkit.assembly.identity import identity, with_absolute_data
from genkit.assembly.labels import dataset_name, title_in_words
from genkit.assembly.launcher import run_processes
from genkit.assembly.logged_run import delivery_of
from genkit.assembly.machine import inexact, other_views
from genkit.assembly.nested_models import as_recorded, embed, embedded_again
from genkit.assembly.processes import for_training
from genkit.assembly.recorded_plan import as_decided
from genkit.assembly.resume_checks import MAX_STEPS, merged
from genkit.assembly.run import Parts, build_parts, checkpoint_config, fingerprint
from genkit.assembly.run_history import changed_keys, config_text, entry, history_of
from genkit.assembly.run_length import short_run
from genkit.assembly.run_report import report_at_end
from genkit.assembly.search_trial import pruning_of, sampling_cost
from genkit.assembly.shared_folder import shared
from genkit.assembly.start_weights import as_begun, begin, begin_again
from genkit.assembly.sweep_value import value_of_run
from genkit.assembly.training_cost import Meter
from genkit.checkpoint.place import is_run_folder, locate
from genkit.checkpoint.read import Checkpoint, find_checkpoint
from genkit.checkpoint.retention import newest_step, step_folders
from genkit.checkpoint.rollback import is_at, is_unfinished, run_of, set_aside
from genkit.checkpoint.run_folder import RunFolder, utc
from genkit.config.build import refuse_interpolations
from genkit.config.dotted_keys import lookup
from genkit.config.hydra.launch import current_job
from genkit.config.hydra.sweep import current_sweep, swept_values
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import RunSettings, TrainSettings
from genkit.environment import Report, is_first, report
from genkit.errors import ConfigError, GenkitError, NumericalError
from genkit.loggers.delivery import Delivery, close_over
from genkit.printing import shown
from genkit.ranks import joined, wait, world
from genkit.report.console import make_console
from genkit.stopwatch import Stopwatch, of_command
from genkit.storage.disk import require_free_disk
from genkit.training.callbacks.budget_keeper import BudgetKeeper
from genkit.training.callbacks.pruning import Pruning
from genkit.training.callbacks.run_logging import tend
from genkit.training.runner import TrainingRun, fit
from genkit.training.signals import StopNow, StopSignal

COPIES = 4  # of the weights in a checkpoint: averaged, live, two moments of Adam
AUTO = "auto"  # resume=auto
BEST = ("monitor", "mode", "step", "value")  # what run.json says of the best monitored value


class Trained(NamedTuple):
    """A training that has ended: its run folder, and the best monitored value, to be minimised."""

    path: Path
    value: float


def run(settings: TrainSettings) -> float:
    """Train; returns the best monitored value, to be minimised, for sweepers."""
    return train(settings).value


def train(settings: TrainSettings) -> Trained:
    """Begin or continue the run that the settings describe, in as many processes as it wants."""
    stopwatch = of_command()
    if n := for_training(_trainer(settings)):
        path, value = run_processes(n, stopwatch)
        return Trained(Path(path), float(value))
    with joined():
        trained = _train(settings, stopwatch)
        report(Report([str(trained.path), trained.value]))
        return trained


def _trainer(settings: TrainSettings) -> Mapping[str, Any]:
    """The node of the trainer, that of the run which is to be continued unless its devices are typed."""
    if settings.resume in (None, AUTO) or {"trainer", "trainer.devices"} & {*current_job().keys}:
        return lookup(settings.config, "trainer")
    return lookup(recorded(run_of(locate(Path(settings.resume)), "resume"), None), "trainer")


def _train(settings: TrainSettings, stopwatch: Stopwatch) -> Trained:
    console = make_console()
    if settings.resume == AUTO:
        return _continue_or_begin(settings, console, stopwatch)
    if settings.resume is None:
        return _start(settings, console, stopwatch)
    return _resume(settings, console, stopwatch)


def _continue_or_begin(settings: TrainSettings, console: Console, stopwatch: Stopwatch) -> Trained:
    """resume=auto: the run in run_dir= where there is one, else a new one."""
    run_dir = settings.run_dir
    if run_dir is None:
        raise ConfigError("resume=auto: it continues what is in run_dir=, or begins it there: name run_dir=")
    if not is_run_folder(Path(run_dir)):
        return _start(settings.replaced(resume=None), console, stopwatch)
    return _resume(settings.replaced(resume=run_dir), console, stopwatch, own=("run_dir",))


def _start(typed: TrainSettings, console: Console, stopwatch: Stopwatch) -> Trained:
    budget = budget_of(typed.config)
    if budget is not None:
        refuse_both()
    config, start = begin(typed)
    config, given = embed(config)
    notices = [found.checkpoint.notice for found in given.values()] + ([start.notice] if start is not None else [])
    for notice in filter(None, notices):
        console.print(notice, soft_wrap=True)
    settings = RunSettings.of(with_absolute_data(config))
    target = _path(typed.run_dir)
    automatic = is_automatic(settings)
    parts = build_parts(provisional(settings) if automatic else settings, given=given, start=start)
    if parts.dataset.notice:
        console.print(parts.dataset.notice, soft_wrap=True, highlight=False)
    if automatic:
        settings, line = fitted(parts, settings)
        console.print(line, soft_wrap=True, highlight=False)
    require_free_disk(_bytes_needed(parts), target or Path("outputs"), "keep fewer checkpoints")
    clock = None if budget is None else clock_of(budget, stopwatch)
    if budget is not None and clock is not None:
        settings, parts = planned(parts, settings, budget, clock)
        console.print(line_of(parts, budget, clock.here()), soft_wrap=True, highlight=False)
    config = checkpoint_config(settings, parts.dataset)
    info = _info(settings, parts)
    if start is not None:
        console.print(start.line(parts.module.model), soft_wrap=True)
        info["start"] = start.taken(parts.module.model)
    text = config_text(settings.config, info["history"])

    def create() -> RunFolder:
        return RunFolder.create(target, "train", info["label"], config=text, info=info)

    with StopSignal() as stop, shared(create) as folder:
        console.print(f"run folder: {shown(folder.path)}", soft_wrap=True)
        books = None if clock is None else Bookkeeper(folder, clock, config, settings)
        return _fit(folder, parts, config, settings, console, None, stop, books)


def _resume(typed: TrainSettings, console: Console, stopwatch: Stopwatch, own: Sequence[str] = ()) -> Trained:
    """Continues the run that resume= leads to; the keys `own` are no wish to change it."""
    assert typed.resume is not None
    path = Path(typed.resume)
    place = locate(path)
    run = run_of(place, "resume")
    with shared(lambda: RunFolder.open(run)) as folder:
        checkpoint = find_checkpoint(path) if step_folders(folder.path) else None
        base = with_later_corrections(recorded(folder.path, checkpoint), folder.path)
        drift, allowed = list[str](), tuple(typed.allow)
        now = as_begun(as_recorded(as_decided(typed.config, base), base), base)
        keys = [key for key in current_job().keys if key not in (*own, "weights")]
        config = with_absolute_data(merged(base, now, keys, allowed, drift))
        config["plugins"] = typed.plugins  # a checkpoint cannot choose its own
        if checkpoint is not None:
            config = taken_further(config, base, checkpoint.step)
        refuse_interpolations(config, at="resume")
        settings, max_steps = RunSettings.of(config), lookup(config, MAX_STEPS)
        if checkpoint is not None and checkpoint.step >= max_steps:
            longer = MAX_STEPS if config.get("budget") is None else "budget"
            line = f"{shown(path)}: finished at step {checkpoint.step:,}; {longer}= takes it further"
            console.print(line, soft_wrap=True)
            if folder.info["status"] != "done" and is_at(folder.path, checkpoint.step):
                _note_done(folder, checkpoint.step, settings)
            return Trained(folder.path, value_of_run(folder.path, settings.checkpoint))
        given, start = (embedded_again(config), begin_again(config)) if checkpoint is None else ({}, None)
        fits = fits_of(checkpoint, base["model"], settings)
        parts = build_parts(settings, trusted=False, given=given, start=start, typed=keys, fits=fits)
        if "data" in allowed:
            folder.update(data_fingerprint=fingerprint(parts.dataset))
        same_data(folder.path, folder.info, parts.dataset)
        if checkpoint is not None and drift:
            parts = taking_over(parts, checkpoint, lookup(base, "optimizer._target_"), settings)
        moved = [*inexact(folder.info, parts.here), *other_views(folder.info, parts.dataset)]
        reasons = [*drift, *moved, *_bent(parts, lookup(base, MAX_STEPS))]
        wait()  # for all to have read what the first one now sets aside
        if checkpoint is not None and (reasons or place.pointer != "latest" or is_unfinished(run, checkpoint.step)):
            _go_back(folder, checkpoint, settings, console)
        _announce(console, path, checkpoint, reasons)
        stored = checkpoint_config(settings, parts.dataset)
        begun = None if checkpoint is None else (checkpoint.path, checkpoint.step)
        with StopSignal() as stop:
            _record(folder, config, parts.here, entry(begun[1] if begun else 0, parts.here, changed_keys(base, config)))
            budget = budget_of(config)
            clock = None if budget is None else clock_of(budget, stopwatch, folder.info)
            books = None if clock is None else Bookkeeper(folder, clock, stored, settings)
            return _fit(folder, parts, stored, settings, console, begun, stop, books)


def _note_done(folder: RunFolder, step: int, settings: RunSettings) -> None:
    """Write into run.json what a run left out that was stopped between its last checkpoint and this note."""
    ends = {"status": "done", "exit_code": 0, "signal": None, "ended": utc()}
    folder.update(**ends, step=step, best=_best(folder.path, settings))


def _go_back(folder: RunFolder, checkpoint: Checkpoint, settings: RunSettings, console: Console) -> None:
    """Keeps aside, aloud, what comes after the checkpoint."""
    newest = step_folders(folder.path)[0].name
    best = best_until(folder.path, checkpoint.step, settings.checkpoint)

    def note() -> None:
        now = {"status": "running", "exit_code": None, "signal": None, "stopped": None, "step": checkpoint.step}
        folder.update(**now, best=_best(folder.path, settings))

    if is_first() and (kept := set_aside(folder.path, checkpoint.step, best, note)):
        line = f"{shown(folder.path)}: going back from {newest} to {checkpoint.path.name}: what came after is kept in "
        console.print(f"{line}{shown(kept)}", soft_wrap=True)


def _record(folder: RunFolder, config: Mapping[str, Any], here: Mapping[str, Any], command: Mapping[str, Any]) -> None:
    """Adds the running command to the history of a resumed run."""
    entries = [*history_of(folder.info), command]
    folder.write_config(config_text(config, entries))
    now = {"status": "running", "exit_code": None, "signal": None, "stopped": None, "identity": identity(config)}
    folder.update(**now, history=entries, **here)


def _fit(
    folder: RunFolder,
    parts: Parts,
    config: Mapping[str, Any],
    settings: RunSettings,
    console: Console,
    resume: tuple[Path, int] | None,
    stop: StopSignal,
    books: Bookkeeper | None,
) -> Trained:
    started, meter = time.monotonic(), Meter(folder.info)
    report(Report(again=_again(folder, settings)))
    before = float(folder.info["wall_time"] or 0.0)
    title = title_in_words(parts.module.model.label, settings.data)
    if (note := short_run(parts)) is not None:
        console.print(note, style="dim", soft_wrap=True)
    status, code, more = "failed", 1, dict[str, Any]()
    loggers = [delivery_of(folder.path, parts.logger)] if parts.logger is not None and is_first() else []
    pruning = pruning_of(settings, folder.path, console)
    try:
        with memory_errors(less_memory(parts)):
            keeper = None if books is None else books.keeper(parts, console)
            fit(_run(folder, parts, config, title, resume, loggers, pruning, keeper), console, stop)
        more = {"pruned": pruning[0].pruned if pruning else False, **sampling_cost(parts)}
        status, code = "done", 0
    except NumericalError as error:
        code = error.exit_code
        raise NumericalError(f"{error}{_way_back(folder.path, settings)}") from error
    except GenkitError as error:
        code = error.exit_code
        raise
    except StopNow:
        status, code = "interrupted", stop.exit_code
    finally:
        stop.only_note()  # what is written of the end must not be cut short
        if stop.received and status == "done":
            status, code = "interrupted", stop.exit_code
        # a disk that refuses this note too must not hide what failed first
        with suppress(GenkitError, OSError) if status == "failed" else nullcontext():
            wall_time = round(before + time.monotonic() - started, 3)
            step = newest_step(folder.path)
            cost = _work_done(parts, step) | meter.read() | ({} if books is None else books.fields(status == "done"))
            ends = {"status": status, "exit_code": code, "signal": stop.name, "stopped": stopped(parts), "ended": utc()}
            folder.update(**ends, step=step, best=_best(folder.path, settings), wall_time=wall_time, **cost, **more)
        tend(loggers, close_over, step, folder.path, console)
        if is_first():
            draw_losses(folder.path, title)
            draw_animation(folder.path)
            report_at_end(folder.path)
    if books is not None:
        console.print(books.line(), soft_wrap=True, highlight=False)
    if stop.received:
        _say_stopped(folder, step, settings, stop)
        raise SystemExit(stop.exit_code)  # no failure of this job alone: a sweep ends with it
    if (ended := stopped_line(parts, None if resume is None else resume[1])) is not None:
        console.print(ended, soft_wrap=True)
    if is_first():
        tell_shortly(console, folder.path)
    close_training(console, folder.path, settings.plugins)
    return Trained(folder.path, value_of_run(folder.path, settings.checkpoint, parts.module.latest))


def _say_stopped(folder: RunFolder, step: int, settings: RunSettings, stop: StopSignal) -> None:
    if is_first():
        kept = f"at step {step:,}" if step else "before its first checkpoint"
        again = _again(folder, settings)
        print(f"genkit: stopped by {stop.name} {kept}; to continue: {again}", file=sys.stderr, flush=True)


def _again(folder: RunFolder, settings: RunSettings) -> str:
    return next_command(settings.plugins, "train", f"resume={folder.path}")


def _run(
    folder: RunFolder,
    parts: Parts,
    config: Mapping[str, Any],
    title: str,
    resume: tuple[Path, int] | None,
    loggers: list[Delivery],
    pruning: Sequence[Pruning],
    keeper: BudgetKeeper | None,
) -> TrainingRun:
    return TrainingRun(
        name=title,
        folder=folder.path,
        dataset=parts.dataset,
        module=parts.module,
        trainer=parts.trainer,
        checkpoint=parts.checkpoint,
        samples=parts.samples,
        loggers=loggers,
        config=config,
        resume=resume,
        callbacks=[*parts.callbacks, *pruning],
        quick=parts.quick,
        keeper=keeper,
        validates_last=parts.validates_last,
    )


def _best(run: Path, settings: RunSettings) -> dict[str, Any] | None:
    """The best monitored value for run.json, None where there is none."""
    options = settings.checkpoint
    found = best_score(run, options)
    return None if found is None else dict(zip(BEST, (options["monitor"], options["mode"], *found), strict=True))


def _way_back(run: Path, settings: RunSettings) -> str:
    """The command that goes on from the newest checkpoint with a tenth of the rate, for the end of a message."""
    folders, rate = step_folders(run), lookup(settings.config, "optimizer.lr")
    if not folders or not isinstance(rate, int | float):
        return ""
    words = (f"resume={folders[0]}", f"optimizer.lr={rate / 10:g}", "allow=[optimizer.lr]")
    return f", as in {next_command(settings.plugins, 'train', *words)}"


def _work_done(parts: Parts, step: int) -> dict[str, int]:
    """The fields of run.json that say what was done, on any machine; examples that come again count again."""
    batch = min(parts.dataset.batch_size, len(parts.dataset.view_source))
    return {
        "parameters": sum(p.numel() for p in parts.module.model.parameters()),
        "examples_seen": step * parts.trainer.accumulate * batch * world(),
    }


def less_memory(parts: Parts) -> str:
    """Advice where memory does not suffice: the same step from smaller micro-batches."""
    size, accumulate = parts.dataset.batch_size, parts.trainer.accumulate
    same = f" trainer.accumulate={2 * accumulate}, which make the same step" if size > 1 else ""
    return smaller_batch("data.batch_size", size) + same


def _bent(parts: Parts, max_steps_before: int) -> list[str]:
    """Reasons why a run of another length is not the same run: the horizon, where one is needed."""
    module, steps = parts.module, parts.trainer.max_steps
    needs = module.lr_schedule.needs_horizon or module.model.needs_horizon
    averaged = module.ema is not None and module.ema.of_run(steps) != module.ema.of_run(max_steps_before)
    return ["horizon changed"] if (needs or averaged) and steps != max_steps_before else []


def _announce(console: Console, path: Path, checkpoint: Checkpoint | None, reasons: Sequence[str]) -> None:
    if checkpoint is None:
        console.print(f"{shown(path)}: no checkpoint yet: starting at step 0", soft_wrap=True)
        return
    if checkpoint.notice is not None:
        console.print(checkpoint.notice, soft_wrap=True)
    exact = f"not exact: {'; '.join(reasons)}" if reasons else "exact"
    console.print(f"{shown(path)}: resuming at step {checkpoint.step:,} ({exact})", soft_wrap=True)


def _label(settings: RunSettings, parts: Parts) -> str:
    return f"{parts.module.model.label}-{dataset_name(settings.data)}"


def _path(run_dir: str | None) -> Path | None:
    return None if run_dir is None else Path(run_dir)


def _bytes_needed(parts: Parts) -> int:
    weights = sum(value.numel() * value.element_size() for value in parts.module.model.state_dict().values())
    return COPIES * weights * (parts.checkpoint.keep + 2)


def _info(settings: RunSettings, parts: Parts) -> dict[str, Any]:
    return {
        "command": command_line(),
        "label": _label(settings, parts),
        "seed": settings.seed,
        "data_fingerprint": fingerprint(parts.dataset),
        "host": platform.node(),
        **parts.here,
        "identity": identity(settings.config),
        "values": swept_values(current_job().overrides, current_sweep().keys),
        "history": [entry(0, parts.here)],
    }

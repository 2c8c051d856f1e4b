"""`genkit train`: build everything, then make the run folder, then train; or continue a run exactly.

Nothing is written before all of the configuration was built: a refused command leaves nothing behind.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.place import is_run_folder
from genkit.checkpoint.read import Checkpoint, find_checkpoint
from genkit.checkpoint.retention import newest_step, pointed, step_folders
from genkit.checkpoint.run_folder import METRICS, RUN, RunFolder, read_info
from genkit.commands.command_line import command_line
from genkit.commands.machine import inexact, machine
from genkit.commands.parts import Parts, build_parts, checkpoint_config, fingerprint
from genkit.commands.taken_over import departures, recorded, same_data, taking_over
from genkit.config.build import refuse_interpolations
from genkit.config.embed import as_recorded, embed, embedded_again
from genkit.config.hydra_setup import current_job
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.resume import MAX_STEPS, lookup, merged
from genkit.errors import CheckpointError, ConfigError, GenkitError
from genkit.report.console import make_console
from genkit.storage.disk import require_free_disk, shown
from genkit.training.runner import Run, fit
from genkit.training.signals import StopNow, StopSignal

COPIES = 4  # of the weights in a checkpoint: averaged, live, two moments of Adam


def run(cfg: DictConfig) -> float | None:
    """Train; returns the monitored score where there is one (for sweepers)."""
    settings: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    console = make_console()
    if settings["resume"] is None:
        if settings["allow"]:
            raise ConfigError("allow=: it names what a resumed run may change: it goes with resume=")
        return _start(settings, console)
    return _resume(settings, console)


def _start(settings: dict[str, Any], console: Console) -> float | None:
    settings, given = embed(settings)
    for found in given.values():
        if found.checkpoint.notice is not None:
            console.print(found.checkpoint.notice, soft_wrap=True)
    parts = build_parts(settings, given=given)
    settings = _with_absolute_data(settings)
    label = _label(settings)
    target = _run_dir(settings["run_dir"], label)
    if target is not None and current_job().multirun and is_run_folder(target):
        return _again(target, settings, console)
    require_free_disk(_bytes_needed(parts), target or Path("outputs"), "keep fewer checkpoints")
    config = checkpoint_config(settings, parts.dataset)
    info = _info(settings, parts)
    text = OmegaConf.to_yaml(settings)
    with StopSignal() as stop, RunFolder.create(target, "train", label, config=text, info=info) as folder:
        console.print(f"run folder: {shown(folder.path)}", soft_wrap=True)
        return _fit(folder, parts, config, settings, console, label, None, stop)


def _again(path: Path, settings: dict[str, Any], console: Console) -> float | None:
    """A job of a sweep that was started before in the same run_dir: skipped where it is done, else continued."""
    if drift := list(departures(recorded(path, None), settings)):
        raise ConfigError(
            f"{shown(path)}: another job of this number stands here: {'; '.join(drift[:3])}: choose another run_dir="
        )
    if read_info(path / RUN)["status"] != "done":
        return _resume({**settings, "resume": str(path)}, console, own=("run_dir",))
    console.print(f"{shown(path)}: done before: skipped", soft_wrap=True)
    scores = [line.get(settings["checkpoint"]["monitor"]) for line in MetricsLog(path / METRICS).records()]
    return next((float(score) for score in reversed(scores) if score is not None), None)


def _resume(typed: dict[str, Any], console: Console, own: Sequence[str] = ()) -> float | None:
    """Continues the run typed["resume"]; the keys `own` are no wish to change it."""
    path = Path(typed["resume"])
    if not is_run_folder(path):
        raise CheckpointError(f"resume={path}: no run folder: name the folder that `genkit train` made")
    with RunFolder.open(path) as folder:
        checkpoint = find_checkpoint(path) if step_folders(folder.path) else None
        base = recorded(folder.path, checkpoint)
        drift, allowed, typed = list[str](), tuple(typed["allow"]), as_recorded(typed, base)
        keys = [key for key in current_job().keys if key not in own]
        settings = _with_absolute_data(merged(base, typed, keys, allowed, drift))
        settings["plugins"] = typed["plugins"]  # a checkpoint cannot choose its own
        refuse_interpolations(settings, at="resume")
        max_steps = lookup(settings, MAX_STEPS)
        if checkpoint is not None and checkpoint.step >= max_steps:
            line = f"{shown(path)}: finished at step {checkpoint.step}; trainer.max_steps= takes it further"
            console.print(line, soft_wrap=True)
            if folder.info["status"] != "done":  # stopped between the last checkpoint and this note
                folder.update(status="done", exit_code=0)
            return None
        given = embedded_again(settings) if checkpoint is None else {}
        parts = build_parts(settings, trusted=False, given=given, typed=keys)
        if "data" in allowed:
            folder.update(data_fingerprint=fingerprint(parts.dataset))
        same_data(folder.path, folder.info, parts.dataset)
        if checkpoint is not None and drift:
            parts = taking_over(parts, checkpoint, lookup(base, "optimizer._target_"), settings)
        here = machine(parts.device)
        reasons = [*drift, *inexact(folder.info, here)]
        _announce(console, path, checkpoint, parts, lookup(base, MAX_STEPS), reasons)
        config = checkpoint_config(settings, parts.dataset)
        resume = None if checkpoint is None else (checkpoint.path, checkpoint.step)
        with StopSignal() as stop:
            folder.update(status="running", exit_code=None, signal=None, **here)
            return _fit(folder, parts, config, settings, console, _label(settings, folder), resume, stop)


def _fit(
    folder: RunFolder,
    parts: Parts,
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    console: Console,
    label: str,
    resume: tuple[Path, int] | None,
    stop: StopSignal,
) -> float | None:
    started = time.monotonic()
    before = float(folder.info["wall_time"] or 0.0)
    status, code = "failed", 1
    try:
        with memory_errors(less_memory(parts)):
            fit(_run(folder, parts, config, label, resume), console, stop)
        status, code = "done", 0
    except GenkitError as error:
        code = error.exit_code
        raise
    except StopNow:
        status, code = "interrupted", stop.exit_code
    finally:
        stop.only_note()  # what is written of the end must not be cut short
        if stop.received and status == "done":
            status, code = "interrupted", stop.exit_code
        wall_time = round(before + time.monotonic() - started, 3)
        step = newest_step(folder.path)
        folder.update(status=status, exit_code=code, signal=stop.name, step=step, wall_time=wall_time)
    again = shlex.quote(shown(folder.path))
    if stop.received:
        kept = f"at step {step}" if step else "before its first checkpoint"
        line = f"genkit: stopped by {stop.name} {kept}; to continue: genkit train resume={again}"
        print(line, file=sys.stderr, flush=True)
        raise SystemExit(stop.exit_code)  # no failure of this job alone: a sweep ends with it
    console.print(f"done: {_closing(folder.path)}", soft_wrap=True)
    return parts.module.validated.get(parts.checkpoint.monitor or "")


def _run(
    folder: RunFolder, parts: Parts, config: Mapping[str, Any], label: str, resume: tuple[Path, int] | None
) -> Run:
    loggers = [parts.loggers(save_dir=str(folder.path))] if parts.loggers is not None else []
    return Run(
        name=label.replace("-", " on ", 1),
        folder=folder.path,
        dataset=parts.dataset,
        module=parts.module,
        trainer=parts.trainer,
        checkpoint=parts.checkpoint,
        samples=parts.samples,
        loggers=loggers,
        config=config,
        resume=resume,
        callbacks=parts.callbacks,
        quick=parts.quick,
    )


def _closing(run: Path) -> str:
    """The command that comes next; where the best checkpoint is not the last one, it is offered too."""
    best, latest = pointed(run, "best"), pointed(run, "latest")
    line = f"genkit sample ckpt={shlex.quote(shown(run))}"
    if best in (None, latest):
        return line
    return f"{line}; the best checkpoint is {best}: ckpt={shlex.quote(shown(run / 'best'))}"


def less_memory(parts: Parts) -> str:
    """What to try when the memory does not suffice: the same step from smaller micro-batches."""
    size, accumulate = parts.dataset.batch_size, parts.trainer.accumulate
    same = f" trainer.accumulate={2 * accumulate}, which make the same step" if size > 1 else ""
    return smaller_batch("data.batch_size", size) + same


def _announce(
    console: Console,
    path: Path,
    checkpoint: Checkpoint | None,
    parts: Parts,
    max_steps_before: int,
    reasons: Sequence[str],
) -> None:
    if checkpoint is None:
        console.print(f"{shown(path)}: no checkpoint yet: starting at step 0", soft_wrap=True)
        return
    if checkpoint.notice is not None:
        console.print(checkpoint.notice, soft_wrap=True)
    changed = parts.trainer.max_steps != max_steps_before and (
        parts.module.lr_schedule.needs_horizon or parts.module.model.needs_horizon
    )
    reasons = [*reasons, *(["horizon changed"] if changed else [])]
    exact = f"not exact: {'; '.join(reasons)}" if reasons else "exact"
    console.print(f"{shown(path)}: resuming at step {checkpoint.step} ({exact})", soft_wrap=True)


def _with_absolute_data(settings: dict[str, Any]) -> dict[str, Any]:
    """Relative paths of data are meant from here, also for whoever resumes elsewhere."""
    root = settings["data"].get("root")
    if root is None:
        return settings
    return {**settings, "data": {**settings["data"], "root": os.path.abspath(root)}}


def _label(settings: Mapping[str, Any], folder: RunFolder | None = None) -> str:
    if folder is not None:
        return str(folder.info.get("label", folder.path.name))
    return "-".join(str(settings[key]["_target_"]).rpartition(".")[2].lower() for key in ("model", "data"))


def _run_dir(run_dir: str | None, label: str) -> Path | None:
    if run_dir is None:
        return None
    job = current_job()
    return Path(run_dir, f"{job.number}-{label}") if job.multirun else Path(run_dir)


def _bytes_needed(parts: Parts) -> int:
    weights = sum(value.numel() * value.element_size() for value in parts.module.model.state_dict().values())
    return COPIES * weights * (parts.checkpoint.keep + 2)


def _info(settings: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    return {
        "command": command_line(),
        "label": _label(settings),
        "seed": settings["seed"],
        "data_fingerprint": fingerprint(parts.dataset),
        "host": platform.node(),
        **machine(parts.device),
    }

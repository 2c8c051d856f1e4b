"""What `sample` and `eval` share: a checkpoint's model as the command line wants it, on its device."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from genkit.commands.training_cost import training_of
from genkit.config.build import build
from genkit.config.embed import origin_of
from genkit.config.hydra_setup import current_job
from genkit.config.restore import Restored, restore
from genkit.config.sweep import current_sweep, job_name, label_of_values, swept_values
from genkit.data.dataset import Dataset
from genkit.errors import CheckpointError, ConfigError
from genkit.models.base import Guidable
from genkit.printing import shown
from genkit.storage.exclusive import NEW_OUT, make_new, make_stamped, refuse_in_use

LONGEST_LABEL = 40  # letters


def device_of(name: str) -> torch.device:
    """ "auto" or torch's name of a device; raises ConfigError for one that this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={name}: not available here: choose auto or cpu") from error
    return device


def restored(path: str, settings: Mapping[str, Any], console: Console) -> Restored:
    """The model of `ckpt=path` with the command line's changes, on its device; a fallback is said aloud."""
    changes = {
        "sampler": {key: value for key, value in (settings["sampler"] or {}).items() if value is not None},
        "temperature": settings["temperature"],
        "truncation": settings["truncation"],
    }
    guidance = settings["guidance"]
    if guidance["weak"] is None:
        changes |= {"guidance.scale": guidance["scale"], "guidance.interval": guidance["interval"]}
    found = restore(path, weights=settings["weights"], plugins=settings["plugins"], changes=changes)
    if guidance["weak"] is not None:
        found = _guided(found, settings)
    elif guidance["interval"] is not None and guidance["scale"] is None and _unguided(found):
        raise ConfigError("guidance.interval: it goes with guidance.scale=, such as 2; nothing is guided without")
    for notice in {each.checkpoint.notice for each in (found, found.weak) if each is not None} - {None}:
        console.print(notice, soft_wrap=True)
    found.model.requires_grad_(False).to(device_of(settings["device"]))
    return found


def _guided(found: Restored, settings: Mapping[str, Any]) -> Restored:
    """The model guided by the weaker one that guidance.weak= names; raises ConfigError where it cannot be."""
    guidance = settings["guidance"]
    if not isinstance(found.model, Guidable):
        raise ConfigError(f"guidance.weak: {type(found.model).__name__} cannot be guided: leave it out")
    if guidance["scale"] is None:
        raise ConfigError("guidance.weak: it goes with guidance.scale=, such as 2; 1 is the model alone")
    weak = restore(guidance["weak"], weights=settings["weights"], plugins=settings["plugins"])
    found.model.guide(weak.model.requires_grad_(False), guidance["scale"], guidance["interval"])
    return dataclasses.replace(found, weak=weak)


def _unguided(found: Restored) -> bool:
    """Whether a checkpoint's own settings ask for no guidance."""
    return bool(found.config["model"].get("guidance_scale", 1.0) == 1.0)


def origin(found: Restored, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where a model's samples and scores come from."""
    weak = {} if found.weak is None else {"weak": origin_of(found.weak)}
    return {**origin_of(found), "weights": settings["weights"], **weak}


def provenance(found: Restored, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The origin, which training it was and what that cost, and what is changed for sampling."""
    sampling = _sampling(settings)
    training = training_of(found.checkpoint, found.config)
    return {**origin(found, settings), **training, **({"sampling": sampling} if sampling else {})}


def _sampling(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line changes of how the model samples."""
    guidance, sampler = settings["guidance"], settings["sampler"] or {}
    values = {
        "temperature": settings["temperature"],
        "truncation": settings["truncation"],
        "guidance.scale": guidance["scale"],
        "guidance.interval": guidance["interval"],
        **{f"sampler.{key}": value for key, value in sampler.items()},
    }
    return {key: value for key, value in values.items() if value is not None}


def data_node(found: Restored, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The data node of a checkpoint, with data.root=… of the command line."""
    node = found.config.get("data")
    if not isinstance(node, dict):
        raise CheckpointError(f"{shown(found.checkpoint.path)}: its config.json names no data: name it with data=…")
    return {**node, **{key: value for key, value in changes.items() if value is not None}}


def dataset_of(found: Restored, changes: Mapping[str, Any], plugins: Sequence[str]) -> Dataset:
    """The data that a checkpoint was trained on."""
    node = data_node(found, changes)
    return build(node, at="data", expect=Dataset, plugins=plugins, trusted=False)


def label_of(found: Restored) -> str:
    """ "vae-digits": what a folder with its results is called."""
    return f"{type(found.model).__name__.lower()}-{dataset_name(found.config.get('data'))}"


def title_of(found: Restored) -> str:
    """ "vae on digits, step 1,500": what stands above a picture of its samples."""
    return f"{label_of(found).replace('-', ' on ', 1)}, step {found.checkpoint.step:,}"


def dataset_name(node: Any) -> str:
    """ "digits" for a node of Digits; "data" for what is no node."""
    target = node.get("_target_", "data") if isinstance(node, Mapping) else "data"
    return str(target).rpartition(".")[2].lower()


def check_out(settings: Mapping[str, Any]) -> None:
    """Raises ConfigError, before any work, where out= is in use."""
    if settings["out"] is not None:
        refuse_in_use(_out(settings["out"]), NEW_OUT)


def make_out(settings: Mapping[str, Any], verb: str, label: str, fill: Callable[[Path], None]) -> Path:
    """The folder out=, a numbered one below it for a job of a sweep, or outputs/<verb>/<stamp>-<label>, filled."""
    job, values = current_job(), _swept()
    if settings["out"] is not None:
        folder = make_new(_out(settings["out"]), fill, NEW_OUT)
    else:
        label = re.sub("[^A-Za-z0-9._-]+", "_", label)[:LONGEST_LABEL]  # a checkpoint's words
        name = job_name(time.strftime("%Y%m%d-%H%M%S"), f"{label}-{values}" if values else label)
        folder = make_stamped(Path("outputs", verb, name), fill)
    if job.multirun:
        current_sweep().row(job.number, job.overrides).folder = folder
    return folder


def report_score(value: float | None, name: str, direction: str) -> None:
    """Tells the sweep, if this is a job of one, its first score."""
    job = current_job()
    if job.multirun:
        sweep = current_sweep()
        sweep.row(job.number, job.overrides).score = value
        sweep.score, sweep.mode = name, direction if direction in ("min", "max") else None


def _out(out: str) -> Path:
    job = current_job()
    return Path(out, job_name(job.number, _swept())) if job.multirun else Path(out)


def _swept() -> str:
    """The swept values of the running job, "" without a sweep."""
    return label_of_values(swept_values(current_job().overrides, current_sweep().keys))

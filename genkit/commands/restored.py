"""What `sample` and `eval` share: a checkpoint's model as the command line wants it, on its device."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from genkit.commands.training_cost import training_of
from genkit.config.build import build
from genkit.config.embed import origin_of
from genkit.config.hydra_setup import current_job
from genkit.config.restore import Restored, restore
from genkit.config.settings import DrawingSettings
from genkit.config.sweep import current_sweep, job_name, label_of_values, swept_values
from genkit.data.dataset import Dataset
from genkit.errors import CheckpointError, ConfigError
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


def model_for(path: str, settings: DrawingSettings, console: Console) -> Restored:
    """The model of `ckpt=path` with the command line's changes, on its device; a fallback is said aloud."""
    found = restore(path, weights=settings.weights, plugins=settings.plugins, changes=settings.sampling)
    for notice in {each.checkpoint.notice for each in (found, *found.helpers.values())} - {None}:
        console.print(notice, soft_wrap=True)
    found.model.requires_grad_(False).to(device_of(settings.device))
    return found


def origin(found: Restored, settings: DrawingSettings) -> dict[str, Any]:
    """Where a model's samples and scores come from."""
    helpers = {key.rpartition(".")[2]: origin_of(helper) for key, helper in found.helpers.items()}
    return {**origin_of(found), "weights": settings.weights, **helpers}


def provenance(found: Restored, settings: DrawingSettings) -> dict[str, Any]:
    """The origin, which training it was and what that cost, and what is changed for sampling."""
    sampling = dict(_flat({key: value for key, value in settings.sampling.items() if key not in found.helpers}))
    training = training_of(found.checkpoint, found.config)
    return {**origin(found, settings), **training, **({"sampling": sampling} if sampling else {})}


def _flat(changes: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The changes of how a model samples, with dotted keys."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif value is not None:
            yield f"{above}{key}", value


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


def check_out(out: str | None) -> None:
    """Raises ConfigError, before any work, where out= is in use."""
    if out is not None:
        refuse_in_use(_out(out), NEW_OUT)


def make_out(out: str | None, verb: str, label: str, fill: Callable[[Path], None]) -> Path:
    """The folder out=, a numbered one below it for a job of a sweep, or outputs/<verb>/<stamp>-<label>, filled."""
    job, values = current_job(), _swept()
    if out is not None:
        folder = make_new(_out(out), fill, NEW_OUT)
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

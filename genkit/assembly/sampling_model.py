"""The model of a checkpoint, ready for the verbs: with the changes of the command line, on its device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from rich.console import Console

from genkit.assembly.labels import dataset_name, title_in_words
from genkit.assembly.nested_models import origin_of
from genkit.assembly.restore import Restored, restore
from genkit.assembly.training_cost import training_of
from genkit.config.build import build
from genkit.config.settings import ModelSettings
from genkit.data.dataset import Dataset
from genkit.environment import this_launch
from genkit.errors import CheckpointError, ConfigError
from genkit.printing import shown
from genkit.tensor_cores import allow_tf32


def device_of(name: str) -> torch.device:
    """ "auto" or torch's name of a device; raises ConfigError for one that this machine lacks.

    Of several processes on a machine each has a GPU of its own.
    """
    if name in ("auto", "cuda") and torch.cuda.is_available():
        launch = this_launch()
        return torch.device("cuda", launch.local_rank) if launch.size > 1 else torch.device("cuda")
    if name == "auto":
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={name}: not available here: choose auto or cpu") from error
    return device


def restore_for_sampling(path: str, settings: ModelSettings, console: Console) -> Restored:
    """The model of `ckpt=path` with the command line's changes, on its device; a fallback is printed."""
    found = restore(path, weights=settings.weights, plugins=settings.plugins, changes=settings.sampling)
    for notice in {each.checkpoint.notice for each in (found, *found.helpers.values())} - {None}:
        console.print(notice, soft_wrap=True)
    allow_tf32(False)  # samples and scores of one model agree between devices
    found.model.requires_grad_(False).to(device_of(settings.device))
    return found


def origin(found: Restored, settings: ModelSettings) -> dict[str, Any]:
    """The model that samples and scores come from."""
    helpers = {key.rpartition(".")[2]: origin_of(helper) for key, helper in found.helpers.items()}
    return {**origin_of(found), "weights": settings.weights, **helpers}


def provenance(found: Restored, settings: ModelSettings) -> dict[str, Any]:
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
    return f"{found.model.label}-{dataset_name(found.config.get('data'))}"


def title_of(found: Restored) -> str:
    """ "vae on digits, step 1,500": what stands above a picture of its samples."""
    return f"{title_in_words(found.model.label, found.config.get('data'))}, step {found.checkpoint.step:,}"

"""What `sample` and `eval` share: a checkpoint's model as the command line wants it, on its device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from genkit.checkpoint.disk import shown
from genkit.config.restore import Restored, restore
from genkit.errors import ConfigError


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
        "guidance.scale": settings["guidance"]["scale"],
    }
    found = restore(path, weights=settings["weights"], plugins=settings["plugins"], changes=changes)
    if found.checkpoint.notice is not None:
        console.print(found.checkpoint.notice, soft_wrap=True)
    found.model.to(device_of(settings["device"]))
    return found


def origin(found: Restored, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where a model's samples and scores come from."""
    return {
        "ckpt": shown(found.checkpoint.path),
        "ckpt_sha256": found.checkpoint.manifest.files["model.safetensors"].sha256,
        "step": found.checkpoint.step,
        "weights": settings["weights"],
    }


def label_of(found: Restored) -> str:
    """ "vae-digits": what a folder with its results is called."""
    data = found.config.get("data") or {}
    dataset = str(data.get("_target_", "data")).rpartition(".")[2].lower()
    return f"{type(found.model).__name__.lower()}-{dataset}"


def stamped(verb: str, label: str) -> Path:
    """outputs/<verb>/<stamp>-<label>, to be made by `make_stamped`."""
    import time

    return Path("outputs", verb, f"{time.strftime('%Y%m%d-%H%M%S')}-{label}")

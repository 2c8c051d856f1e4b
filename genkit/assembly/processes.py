"""The number of processes that a command is to have, and refusals of what this machine cannot have."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from genkit.config.dotted_keys import lookup
from genkit.config.settings import DrawingSettings
from genkit.environment import this_launch
from genkit.errors import ConfigError

CROWDED = 4  # processes that even a machine of fewer cores may be given


def for_training(trainer: Mapping[str, Any]) -> int:
    """The processes that a training has to start and wait for; 0 where this one is to train itself.

    Args:
        trainer: The node of the trainer.

    Raises:
        ConfigError: they disagree with what torchrun or srun started, or this machine cannot have them.
    """
    devices, nodes = lookup(trainer, "devices"), lookup(trainer, "num_nodes")
    return _to_start(devices, nodes, lookup(trainer, "accelerator"), "trainer.")


def for_drawing(settings: DrawingSettings) -> int:
    """As `for_training`, of a verb that draws samples."""
    kind = settings.device.partition(":")[0]
    return _to_start(settings.devices, None, "gpu" if kind == "cuda" else kind, "")


def _to_start(devices: int | None, nodes: int | None, accelerator: str, at: str) -> int:
    """The number, for keys that stand below `at`."""
    launch = this_launch()
    if launch.size > 1:
        found = {"devices": launch.local_size, "num_nodes": launch.size // launch.local_size}
        for key, asked in (("devices", devices), ("num_nodes", nodes)):
            if asked not in (None, found[key]):
                started = f"{launch.by} started {launch.size} processes, {launch.local_size} on this machine"
                raise ConfigError(f"{at}{key}={asked}: {started}: choose {at}{key}={found[key]} or leave it out")
        return 0
    if (nodes or 1) > 1:
        raise ConfigError(
            f"{at}num_nodes={nodes}: genkit starts processes on this machine alone: start the command on every "
            "machine by torchrun or srun"
        )
    if devices is None or devices == 1:
        return 0
    _check_devices(devices, accelerator, f"{at}devices={devices}")
    return devices


def _check_devices(devices: int, accelerator: str, typed: str) -> None:
    """Raises ConfigError where this machine has fewer."""
    gpus = torch.cuda.device_count()
    if accelerator == "gpu" or (accelerator == "auto" and gpus):
        if devices > gpus:
            raise ConfigError(f"{typed}: this machine has {gpus} GPU{'s' * (gpus != 1)}")
    elif accelerator in ("cpu", "auto"):
        cores = os.cpu_count() or 1
        if devices > max(cores, CROWDED):
            raise ConfigError(f"{typed}: this machine has {cores} cores: choose at most that many")
    else:
        raise ConfigError(f"{typed}: on {accelerator} there is one device: leave it out")

"""The number of processes that a training is to have, and refusals of what this machine cannot have."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from genkit.config.dotted_keys import lookup
from genkit.environment import this_launch
from genkit.errors import ConfigError

CROWDED = 4  # processes that even a machine of fewer cores may be given


def to_start(trainer: Mapping[str, Any], at: str = "") -> int:
    """The processes that this one has to start and wait for; 0 where it is to train itself.

    Args:
        trainer: The node of the trainer, or what stands for it.
        at: Where its keys stand, "trainer." for those of a trainer.

    Raises:
        ConfigError: they disagree with what torchrun or srun started, or this machine cannot have them.
    """
    devices, nodes, launch = lookup(trainer, "devices"), lookup(trainer, "num_nodes"), this_launch()
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
    if (devices or 1) == 1:
        return 0
    _check_devices(devices, lookup(trainer, "accelerator"), f"{at}devices={devices}")
    return int(devices)


def accelerator_of(device: str) -> str:
    """The accelerator, as a trainer names it, of torch's name of a device."""
    kind = device.partition(":")[0]
    return "gpu" if kind == "cuda" else kind


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

"""The machine of a run, on which its last bits depend: device, threads, versions, and how views are drawn.

run.json remembers them. A run that goes on elsewhere says that it is not exact, and why.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genkit.assembly.resume_checks import differences
from genkit.checkpoint.run_folder import versions
from genkit.config.dotted_keys import ABSENT, lookup
from genkit.data.counter_stream import NAME
from genkit.data.dataset import Dataset
from genkit.environment import this_launch

NOISE = "by example"  # how the noise of a validation is drawn; before this was recorded, by batch
COMPARED = ("device", "threads", "versions.genkit", "versions.lightning", "versions.torch")
FRAMEWORKS = {"lightning": "lightning", "hydra": "hydra-core"}


def device_name(device: torch.device) -> str:
    """ "cpu", or the kind of the device and which one it is, e.g. "cuda (NVIDIA A100-SXM4-80GB)"."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def machine(device: str, precision: str) -> dict[str, Any]:
    """The fields of run.json that tell of this machine.

    Args:
        device: As `device_name` has it.
        precision: The number format of the training there.
    """
    return {
        "device": device,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "processes": this_launch().size,
        "views": NAME,
        "noise": NOISE,
        "versions": versions() | {name: importlib.metadata.version(package) for name, package in FRAMEWORKS.items()},
    }


def inexact(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Reasons why a run may not continue bit for bit on the machine `now`, in words.

    Args:
        before: The run.json of the run.
        now: What `machine` says here.
    """
    for key in COMPARED:
        yield from differences(key, lookup(before, key, ABSENT), lookup(now, key, ABSENT))
    if (precision := before.get("precision", now["precision"])) != now["precision"]:
        yield f"precision: {precision} became {now['precision']}"
    if (processes := before.get("processes", 1)) != now["processes"]:
        yield f"processes: {processes} became {now['processes']}, each with a batch of its own"
    if before.get("noise") != now["noise"]:
        yield f"noise: a validation's was drawn by batch and is drawn {now['noise']}, so its losses change"
    if now["device"] != "cpu":
        yield "only runs on a CPU are bit-exact"


def other_views(before: Mapping[str, Any], dataset: Dataset) -> list[str]:
    """Reasons why the examples of a training are not seen as before, in words; nothing where they are.

    Args:
        before: The run.json of the run, or an entry of its history; one of an earlier version does not say how it drew.
        dataset: The data.
    """
    if not dataset.random_views or before.get("views") == NAME:
        return []
    return ["the augmentation's random stream changed in genkit since"]

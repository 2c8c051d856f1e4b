"""Cost of a training, and the identity of the training that a model is from.

Steps, examples seen and parameters say what was done, anywhere. CPU seconds say how long this machine took for it, and
rise with its other work: so its load, the average number of runnable processes, is recorded beside them.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genkit.assembly.memory_limit import peak
from genkit.assembly.recorded_plan import as_composed
from genkit.checkpoint.read import Checkpoint
from genkit.checkpoint.retention import CHECKPOINTS
from genkit.checkpoint.run_folder import RUN, read_info
from genkit.config.names import with_first_names
from genkit.errors import CheckpointError

PEAKS = ("peak_memory", "peak_gpu_memory")  # fields of run.json
NOT_OF_THE_TRAINING = ("seed", "plugins")  # keys of `train` that tell no two configurations apart
HASHED_SCHEMA = "genkit.config/1"  # in every hash, so that those of earlier versions stay comparable


def load_average() -> float | None:
    """The machine's load over the last minute; None where it is not told."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # Windows, some containers
        return None


def peak_memory() -> dict[str, int]:
    """Bytes that this process has held at most, and of a GPU that it used those that its tensors had."""
    found = {"peak_memory": peak(torch.device("cpu"))}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["peak_gpu_memory"] = peak(torch.device("cuda"))
    return found


class Meter:
    """CPU seconds, load and memory from its making on, with those of earlier parts of the run."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        before = info.get("cpu_seconds")
        self._before = before if isinstance(before, float) else 0.0
        self._peaks = {key: info[key] for key in PEAKS if type(info.get(key)) is int}
        self._started, self._load = time.process_time(), load_average()

    def read(self) -> dict[str, Any]:
        """The fields `cpu_seconds` (all threads of this process), `load` {start, end} and `peak_memory` of run.json."""
        seconds = round(self._before + time.process_time() - self._started, 3)
        peaks = {key: max(value, self._peaks.get(key, 0)) for key, value in peak_memory().items()}
        return {"cpu_seconds": seconds, "load": {"start": self._load, "end": load_average()}} | peaks


def training_of(checkpoint: Checkpoint, config: Mapping[str, Any]) -> dict[str, Any]:
    """Facts for records: seed and configuration of the training, and as far as its run.json is there, what it cost."""
    train = config.get("train")
    if not isinstance(train, Mapping):
        return {}
    return {"train_seed": train.get("seed"), "config": configuration_hash(config), **_cost_of(checkpoint)}


def configuration_hash(config: Mapping[str, Any]) -> str:
    """16 hex digits that are equal where a config.json differs in the seed, or in where the data lies, alone.

    Classes count by their first names, so that a move changes no hash.
    """
    composed = as_composed(config["train"])
    config = {**config, "data": composed["data"]} if composed.keys() != config["train"].keys() else config
    train = {key: value for key, value in composed.items() if key not in NOT_OF_THE_TRAINING}
    parts = {key: value for key, value in config.items() if key != "train"} | {"schema": HASHED_SCHEMA}
    text = json.dumps(with_first_names([_unrooted(parts), _unrooted(train)]), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _unrooted(node: Mapping[str, Any]) -> dict[str, Any]:
    data = node.get("data")
    if not isinstance(data, Mapping):
        return dict(node)
    return {**node, "data": {key: value for key, value in data.items() if key != "root"}}


def _cost_of(checkpoint: Checkpoint) -> dict[str, Any]:
    info = _info_beside(checkpoint.path)
    seen, last = info.get("examples_seen"), info.get("step")
    if type(seen) is not int or type(last) is not int or last < 1:
        return {}
    found: dict[str, Any] = {"examples_seen": seen // last * checkpoint.step}
    if last == checkpoint.step:
        seconds, loads = info.get("cpu_seconds"), info.get("load")
        found |= {"cpu_seconds": seconds} if isinstance(seconds, float) else {}
        found |= {"load": loads} if isinstance(loads, dict) else {}
    return found


def _info_beside(checkpoint: Path) -> dict[str, Any]:
    """The run.json of the run that a checkpoint lies in; empty where there is none that can be read."""
    if checkpoint.parent.name != CHECKPOINTS:
        return {}
    try:
        return read_info(checkpoint.parent.parent / RUN)
    except CheckpointError:
        return {}

"""The part that a training has in a search: its reports while it goes, and the time that its samples take."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from genkit.assembly.run import Parts
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.run_folder import METRICS
from genkit.config.dotted_keys import lookup
from genkit.config.hydra.search.trial_address import current_trial
from genkit.config.settings import RunSettings
from genkit.environment import is_first
from genkit.noise import seed_of
from genkit.ranks import alone
from genkit.training.callbacks.pruning import Pruning

SAMPLES, REPEATS = 64, 3


def pruning_of(settings: RunSettings, run: Path, console: Console) -> list[Pruning]:
    """The callback of a trial that may be pruned; none of any other training."""
    address, monitor = current_trial(), lookup(settings.checkpoint, "monitor")
    if address is None or address.pruner is None or not isinstance(monitor, str):
        return []

    def connect() -> Any:
        from genkit.config.hydra.search.storage import require_optuna
        from genkit.config.hydra.search.study import reporter

        require_optuna()
        return reporter(address)

    lines = MetricsLog(run / METRICS).records()
    earlier = [(line["step"], float(line[monitor])) for line in lines if isinstance(line.get(monitor), int | float)]
    return [Pruning(connect, monitor, earlier, console)]


def sampling_cost(parts: Parts) -> dict[str, float]:
    """The field `sampling_seconds` of run.json, where a search wants it: the median time to draw 64 samples."""
    address = current_trial()
    if address is None or not address.measured or not is_first():
        return {}
    times = list[float]()
    with alone():
        model = parts.module.prepared(parts.dataset)
        for repeat in range(REPEATS + 1):
            _wait_for_device()
            began = time.perf_counter()
            model.sample(SAMPLES, seed=seed_of(parts.module.seed, "sampling cost", repeat))
            _wait_for_device()
            times.append(time.perf_counter() - began)
    return {"sampling_seconds": round(statistics.median(times[1:]), 6)}  # the first one warms up


def _wait_for_device() -> None:
    """A GPU works on while Python goes on."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()

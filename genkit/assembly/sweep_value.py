"""The number that a job of a sweep returns: a sweeper of Hydra minimises it, and it is never None.

A value whose maximum is best is returned as its negative, so that less is always better; what failed, diverged or was
never scored is infinite. `genkit train` returns the best value of `checkpoint.monitor`, `genkit eval` its first score.
A training that monitored nothing returns its last loss, of the validation where there was one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.run_folder import METRICS
from genkit.config.build import build
from genkit.training.monitor import Mode, improves
from genkit.training.options import CheckpointOptions

WORST = math.inf


def to_minimise(value: float | None, direction: Literal["min", "max", "near"]) -> float:
    """The value with the sign that makes less of it better, infinity for none and for NaN."""
    if value is None or math.isnan(value):
        return WORST
    return -value if direction == "max" else value


def best_of(lines: Iterable[Mapping[str, Any]], monitor: str | None, mode: Mode) -> tuple[int, float] | None:
    """The step and the value of the best finite value in records of metrics.jsonl, the first of equal ones.

    Returns:
        None where nothing is monitored, or nothing finite was recorded; words and null are no values.
    """
    best: tuple[int, float] | None = None
    for line in lines:
        value = None if monitor is None else line.get(monitor)
        if isinstance(value, int | float) and improves(value, None if best is None else best[1], mode):
            best = line["step"], float(value)
    return best


def best_value(
    lines: Sequence[Mapping[str, Any]], options: CheckpointOptions, latest: Mapping[str, float] | None = None
) -> float:
    """The best monitored value of a training, to be minimised.

    Args:
        lines: The records of its metrics.jsonl.
        options: What was monitored.
        latest: Its last training terms, which may not be in metrics.jsonl.
    """
    best = best_of(lines, options.monitor, options.mode)
    if best is not None:
        return to_minimise(best[1], options.mode)
    last: dict[str, float] = {}
    for line in (*lines, latest or {}):
        last |= _losses(line)
    stages = ([value for key, value in last.items() if key.startswith(stage)] for stage in ("val/", "train/"))
    return next((to_minimise(values[0], "min") for values in stages if values), WORST)


def value_of_run(run: Path, checkpoint: Any, latest: Mapping[str, Tensor] | None = None) -> float:
    """`best_value` of a run folder that was trained with this node `checkpoint`."""
    options = build(checkpoint, at="checkpoint", expect=CheckpointOptions)
    terms = {key: float(value) for key, value in (latest or {}).items()}
    return best_value(MetricsLog(run / METRICS).records(), options, terms)


def _losses(line: Mapping[str, Any]) -> dict[str, float]:
    """The losses of each phase in a line, by log key."""
    ours = (key for key in line if key.startswith(("val/", "train/")) and key.endswith("/loss"))
    return {key: float(line[key]) for key in ours}

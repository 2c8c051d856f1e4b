"""A run folder as a logger is told of it: its name, its configuration, and how it ended."""

from __future__ import annotations

import calendar
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from genkit.assembly.recorded_config import LARGEST, read_config_yaml
from genkit.checkpoint.run_folder import CONFIG_YAML, RUN, read_info
from genkit.errors import CheckpointError
from genkit.loggers.base import LoggedRun, RunLogger
from genkit.loggers.delivery import Delivery, End
from genkit.storage.regular import read_regular

# what run.json says of a run when it began, which no later command changes
BIRTH = ("started", "command", "label", "values", "seed", "id")
FACTS = ("status", "exit_code", "step", "stopped", "wall_time", "parameters", "examples_seen", "device", "processes")
ID_DIGITS = 16


def delivery_of(run: Path, logger: RunLogger) -> Delivery:
    """Prepare to hand the run in a folder over to a logger; nothing is read yet."""
    return Delivery(logger, partial(logged_run, run), partial(end_of, run))


def logged_run(run: Path) -> LoggedRun:
    """The run in a folder.

    Raises:
        CheckpointError: its run.json or its config.yaml is missing, damaged, or of a newer genkit.
    """
    info, where = read_info(run / RUN), run / CONFIG_YAML
    config = read_config_yaml(where)
    text = read_regular(where, LARGEST, inside=run, refusal=CheckpointError).decode("utf-8")
    birth = json.dumps({key: info.get(key) for key in BIRTH}, sort_keys=True, default=str)
    return LoggedRun(
        path=run,
        id=hashlib.sha256(birth.encode()).hexdigest()[:ID_DIGITS],
        group=run.parent.name if info.get("values") else None,
        label=str(info.get("label", run.name)),
        started=_seconds(info.get("started")),
        parameters=dict(_flat(config)),
        text=text,
    )


def end_of(run: Path) -> End:
    """The end of a run by its run.json: facts, and the best monitored value."""
    info = read_info(run / RUN)
    facts = {key: info[key] for key in FACTS if info.get(key) is not None}
    best = info.get("best") or {}
    scores = {}
    with suppress(KeyError, TypeError, ValueError):
        scores = {f"best/{best['monitor']}": float(best["value"])}
        facts["best_step"] = int(best["step"])
    return End(facts, scores)


def _seconds(stamp: object) -> float:
    """Of a time as run.json has it, since 1970."""
    with suppress(TypeError, ValueError, OverflowError):
        return float(calendar.timegm(time.strptime(str(stamp), "%Y-%m-%dT%H:%M:%SZ")))
    return 0.0


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key with its value; a list is a value."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item

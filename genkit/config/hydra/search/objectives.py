"""The objectives of a search: which way each is better, and whether a training will have it.

A family whose validation losses say nothing of its samples monitors none (`checkpoint.monitor: null`). A search needs a
value all the same, so it then takes the Fréchet distance of quick scores, and switches them on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from genkit.config.dotted_keys import lookup
from genkit.config.hydra.search.options import MONITOR
from genkit.errors import ConfigError
from genkit.printing import shown

QUICK = "quick/"
FALLBACK = "fid"
Mode = Literal["min", "max"]


def added_words(config: Mapping[str, Any], objectives: Sequence[str]) -> list[str]:
    """The overrides that give a training which monitors nothing a value to be judged by.

    Raises:
        ConfigError: there are other scores while training, of which none can be chosen here.
    """
    if MONITOR not in objectives or lookup(config, "checkpoint.monitor") is not None:
        return []
    metrics = list(config.get("metric") or {})
    if metrics and FALLBACK not in metrics:
        name = shown(metrics[0])
        raise ConfigError(
            f"checkpoint.monitor: null, and a search needs a value: add checkpoint.monitor=quick/{name}, with "
            "checkpoint.mode=max where more of it is better"
        )
    scored = [] if metrics else [f"metric={FALLBACK}"]
    return [*scored, f"checkpoint.monitor={QUICK}{FALLBACK}", "checkpoint.mode=min"]


def check_monitored(config: Mapping[str, Any], objectives: Sequence[str]) -> None:
    """Raises ConfigError where no validation of a training will have the monitored value."""
    if MONITOR not in objectives:
        return
    monitor, metrics = str(lookup(config, "checkpoint.monitor")), config.get("metric") or {}
    every, steps = lookup(config, "trainer.val_every_n_steps"), lookup(config, "trainer.max_steps")
    if monitor.startswith(QUICK):
        name = monitor.removeprefix(QUICK)
        if name not in metrics:
            scored = ", ".join(f"{QUICK}{shown(other)}" for other in metrics) or "none"
            raise ConfigError(
                f"checkpoint.monitor={shown(monitor)}: the scores while training are {scored}: add metric={shown(name)}"
            )
        every = lookup(config, "quick.every_n_steps") or every
    if isinstance(every, int) and isinstance(steps, int) and every > steps:
        key = "quick.every_n_steps" if lookup(config, "quick.every_n_steps") else "trainer.val_every_n_steps"
        raise ConfigError(f"{key}={every}: a training of {steps:,} steps has no {shown(monitor)} then: choose {steps}")


def modes_of(config: Mapping[str, Any], objectives: Sequence[str]) -> list[Mode]:
    """The direction in which each objective is better: costs are to be small."""
    mode: Mode = "max" if lookup(config, "checkpoint.mode") == "max" else "min"
    return [mode if name == MONITOR else "min" for name in objectives]

"""What a resumed run may change: its own configuration is the base, and only what was typed is compared with it.

Free are the length of the training (upwards), what is written and when, and where the data lies now; everything else
would make the run another one, and is refused with the list of differences.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from genkit.errors import ConfigError

FREE = ("checkpoint", "logger", "debug", "data.root", "plugins")  # a key or whatever stands below it
MAX_STEPS = "trainer.max_steps"
LISTED = 10  # differences shown


def merged(base: Mapping[str, Any], typed: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The configuration to resume with.

    Args:
        base: The configuration of the checkpoint.
        typed: What this command line composes to.
        keys: The keys and groups that were typed.

    Raises:
        ConfigError: a typed key differs and is not free, or max_steps would shrink.
    """
    result = copy.deepcopy(dict(base))
    drift = []
    for key in keys:
        if key == "resume":
            continue
        old, new = lookup(base, key), lookup(typed, key)
        if key == MAX_STEPS and new < old:
            raise ConfigError(f"{key}={new}: the run was made for {old}; a resumed run can only become longer")
        if key == MAX_STEPS or any(key == free or key.startswith(free + ".") for free in FREE):
            put(result, key, new)
        elif old != new:
            drift.append(f"{key}: {old!r} became {new!r}")
    if drift:
        shown = "; ".join(drift[:LISTED]) + (f"; and {len(drift) - LISTED} more" if len(drift) > LISTED else "")
        raise ConfigError(f"resume: not the same run: {shown}. Leave these out, or start a new run")
    return result


def lookup(config: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key, None where there is none."""
    value: Any = config
    for part in key.replace("/", ".").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def put(config: dict[str, Any], key: str, value: Any) -> None:
    """Sets the value at a dotted key, in place."""
    *parents, last = key.replace("/", ".").split(".")
    for part in parents:
        config = config.setdefault(part, {})
    config[last] = value

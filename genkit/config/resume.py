"""What a resumed run may change: its own configuration is the base, and only what was typed is compared with it.

Free are the length of the training (upwards), what is written and when, and where the data lies now; everything else
would make the run another one, and is refused with the list of differences.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from genkit.errors import ConfigError

FREE = ("checkpoint", "logger", "debug", "data.root", "plugins")  # a key or whatever stands below it
MAX_STEPS = "trainer.max_steps"
LISTED = 10  # differences shown
ABSENT = object()


def merged(base: Mapping[str, Any], typed: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The configuration to resume with.

    Args:
        base: The configuration of the checkpoint.
        typed: What this command line composes to.
        keys: The keys and groups that were typed.

    Raises:
        ConfigError: a typed key differs and is not free, or max_steps would shrink.
    """
    result, drift = copy.deepcopy(dict(base)), list[str]()
    for key in keys:
        new = lookup(typed, key)
        if key == MAX_STEPS:
            _refuse_shorter(lookup(base, key), new)
        if key == MAX_STEPS or is_free(key):
            put(result, key, new)
        elif key != "resume":
            drift += differences(key, lookup(base, key, ABSENT), lookup(typed, key, ABSENT))
    if drift:
        shown = "; ".join(drift[:LISTED]) + (f"; and {len(drift) - LISTED} more" if len(drift) > LISTED else "")
        raise ConfigError(f"resume: not the same run: {shown}. Leave these out, or start a new run")
    return result


def is_free(key: str) -> bool:
    """Whether a resumed run may change this key."""
    return any(key == free or key.startswith(free + ".") for free in FREE)


def differences(key: str, old: Any, new: Any) -> Iterator[str]:
    """Each value below a key that another run would have, in words; keys that are free do not count."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences(f"{key}.{name}", old.get(name, ABSENT), new.get(name, ABSENT))
    elif old is ABSENT and new is ABSENT:  # a group that leaves no key of its own, as experiment=
        yield f"{key}: was chosen when the run began"
    elif old != new and not is_free(key):
        before, after = ("absent" if value is ABSENT else repr(value) for value in (old, new))
        yield f"{key}: {before} became {after}"


def _refuse_shorter(old: int, new: Any) -> None:
    if type(new) is int and new < old:
        raise ConfigError(
            f"{MAX_STEPS}={new}: the run was made for {old}; a resumed run can only become longer: leave it out"
        )


def lookup(config: Mapping[str, Any], key: str, absent: Any = None) -> Any:
    """The value at a dotted key, `absent` where there is none."""
    value: Any = config
    for part in key.replace("/", ".").split("."):
        value = value.get(part, absent) if isinstance(value, Mapping) else absent
    return value


def put(config: dict[str, Any], key: str, value: Any) -> None:
    """Sets the value at a dotted key, in place."""
    *parents, last = key.replace("/", ".").split(".")
    for part in parents:
        config = config.setdefault(part, {})
    config[last] = value

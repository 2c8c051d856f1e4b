"""The keys that a resumed run may change: only what was typed is compared with its own.

Free are the length of the training (upwards), what is written and when, and where the data lies now; everything else
would make the run another one, and is refused with the list of differences, unless `allow=[key,…]` accepts it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genkit import printing
from genkit.config.budget import Budget
from genkit.config.dotted_keys import ABSENT, changes, is_below, lookup, put
from genkit.errors import ConfigError

# keys, or prefixes of keys
FREE = (
    "checkpoint",
    "logger",
    "debug",
    "data.root",
    "data.workers",
    "data.download",
    "plugins",
    "trainer.devices",
    "trainer.num_nodes",
)
MAX_STEPS, BUDGET = "trainer.max_steps", "budget"
LISTED = 10  # differences shown
NO_CHANGE = ("resume", "allow")


def merged(
    base: Mapping[str, Any],
    typed: Mapping[str, Any],
    keys: Sequence[str],
    allowed: Sequence[str] = (),
    accepted: list[str] | None = None,
) -> dict[str, Any]:
    """The configuration to resume with.

    Args:
        base: The configuration of the checkpoint.
        typed: What this command line composes to.
        keys: The keys and groups that were typed.
        allowed: Keys, or keys above them, that may differ.
        accepted: Receives a line for each difference that was allowed.

    Raises:
        ConfigError: a typed key differs and is neither free nor allowed, or max_steps would shrink.
    """
    result, drift, used = copy.deepcopy(dict(base)), list[str](), set[str]()
    for key in keys:
        new = lookup(typed, key)
        if key == MAX_STEPS:
            _refuse_shorter(lookup(base, key), new)
            _refuse_beside_budget(base)
        if key == BUDGET:
            _refuse_budget(base.get(BUDGET), new)
            put(result, key, new)
            continue
        before, after = lookup(base, key, ABSENT), lookup(typed, key, ABSENT)
        found = [] if key in NO_CHANGE or _repeats(key, base, typed, keys) else list(differences(key, before, after))
        found = [line for line in found if not line.startswith(f"{MAX_STEPS}: ")]  # a group's own is not meant
        names = {name for name in allowed if is_below(key, name)}
        if key == MAX_STEPS or is_free(key):
            put(result, key, new)
        elif names and found:
            put(result, key, new)
            used |= names
            (accepted if accepted is not None else []).extend(found)
        else:
            drift += found
    if MAX_STEPS not in keys:
        put(result, MAX_STEPS, lookup(base, MAX_STEPS))
    if drift:
        raise ConfigError(_refusal(drift))
    if idle := [name for name in allowed if name not in used and name != "data"]:
        raise ConfigError(f"allow=: nothing that was typed changes {idle[0]}: leave it out")
    return result


def _repeats(key: str, base: Mapping[str, Any], typed: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Tell whether this group leaves no key of its own, as experiment=, and chooses what the run has anyway."""
    if lookup(base, key, ABSENT) is not ABSENT or lookup(typed, key, ABSENT) is not ABSENT:
        return False
    now = {name: typed.get(name, value) for name, value in base.items()}
    others = [MAX_STEPS, *(other for other in keys if other != key)]
    return all(is_free(name) or any(is_below(name, other) for other in others) for name in changes(base, now))


def _refusal(drift: Sequence[str]) -> str:
    shown = "; ".join(drift[:LISTED]) + (f"; and {len(drift) - LISTED} more" if len(drift) > LISTED else "")
    keys = dict.fromkeys(line.partition(":")[0] for line in drift[:LISTED])
    return (
        f"resume: not the same run: {shown}. Leave these out, accept them with allow=[{','.join(keys)}], "
        "or start a new run"
    )


def is_free(key: str) -> bool:
    """Tell whether a resumed run may change this key."""
    return any(is_below(key, free) for free in FREE)


def differences(key: str, old: Any, new: Any) -> Iterator[str]:
    """Each value below a key that another run would have, in words; keys that are free do not count."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences(f"{key}.{printing.shown(name)}", old.get(name, ABSENT), new.get(name, ABSENT))
    elif old is ABSENT and new is ABSENT:  # a group that leaves no key of its own, as experiment=
        yield f"{key}: was chosen when the run began"
    elif old != new and not is_free(key):
        before, after = ("absent" if value is ABSENT else printing.shown(repr(value), 200) for value in (old, new))
        yield f"{key}: {before} became {after}"


def _refuse_shorter(old: int, new: Any) -> None:
    if type(new) is int and new < old:
        raise ConfigError(
            f"{MAX_STEPS}={new}: the run was made for {old}; a resumed run can only become longer: leave it out"
        )


def _refuse_beside_budget(base: Mapping[str, Any]) -> None:
    if base.get(BUDGET) is not None:
        raise ConfigError(f"{MAX_STEPS}=: the run has a budget, which decides its steps: {BUDGET}= takes it further")


def _refuse_budget(old: Any, new: Any) -> None:
    """Refuse another budget than the same one or a larger one on the same clock."""
    if old is None:
        raise ConfigError(f"{BUDGET}={new}: the run was made for a number of steps: {MAX_STEPS}= takes it further")
    before, after = Budget.of(old), None if new is None else Budget.of(new)
    if after is None or after.clock != before.clock or after.seconds < before.seconds:
        raise ConfigError(
            f"{BUDGET}={new}: the run was made for {old}; a resumed run can only be given more, by the same clock: "
            "leave it out"
        )

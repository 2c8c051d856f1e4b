"""The record of what was measured for a run: what the budget and the size of a batch became.

    "planned": {"instead": {"trainer.max_steps": 1000, "data.batch_size": "auto"},
                "steps": 7420, "corrections": [[2310, 8900]], "costs": {"step": 0.0152, …}}

It stands in the configuration of a run, whose keys hold what was decided, so that whatever reads it needs to know
nothing of budgets. `instead` are the values that were composed; `steps` and `corrections` are those of
`genkit.training.pace`, absent in a run without a budget.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from genkit.assembly.recorded_keys import PLANNED
from genkit.component import Range
from genkit.config.dotted_keys import lookup, put
from genkit.config.settings import read_setting
from genkit.errors import ConfigError
from genkit.training.options import Steps
from genkit.training.pace import Correction, Pace
from genkit.training.plan import Costs

MAX_STEPS = "trainer.max_steps"
MOST = 1000  # corrections of one run


def instead_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The composed values that were replaced by what was measured, by key."""
    found: Mapping[str, Any] = (config.get(PLANNED) or {}).get("instead", {})
    return found


def with_decided(config: Mapping[str, Any], values: Mapping[str, Any], **record: Any) -> dict[str, Any]:
    """A configuration with other values at these keys, and a record of those that stood there."""
    result = copy.deepcopy(dict(config))
    before = {key: lookup(config, key) for key in values} | dict(instead_of(config))
    for key, value in values.items():
        put(result, key, value)
    result[PLANNED] = {**result.get(PLANNED, {}), "instead": before, **record}
    return result


def as_composed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the values that were composed, without the record: what the user asked for."""
    result = copy.deepcopy({key: value for key, value in config.items() if key != PLANNED})
    for key, value in instead_of(config).items():
        put(result, key, value)
    return result


def as_decided(typed: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The command line that resumes a run, with the values that were decided for it where it asks for the same."""
    result = copy.deepcopy(dict(typed))
    for key, value in instead_of(base).items():
        if lookup(typed, key) == value:
            put(result, key, lookup(base, key))
    return result


def pace_of(config: Mapping[str, Any]) -> Pace | None:
    """The pace of a run with a budget, None of one without."""
    record = config.get(PLANNED) or {}
    if record.get("steps") is None:
        return None
    corrections = tuple(Correction(*pair) for pair in record["corrections"])
    return Pace(record["steps"], record["instead"][MAX_STEPS], corrections)


def with_pace(config: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    """A configuration whose run has another pace."""
    result = copy.deepcopy(dict(config))
    corrections = [[each.step, each.steps] for each in pace.corrections]
    result[PLANNED] = {**result[PLANNED], "steps": pace.planned, "corrections": corrections}
    put(result, MAX_STEPS, pace.steps)
    return result


def costs_of(config: Mapping[str, Any]) -> Costs:
    """The costs that were measured before a run."""
    return Costs(**config[PLANNED]["costs"])


def check_plan(record: Any) -> None:
    """Check the record of a run folder, which is untrusted text.

    Raises:
        ConfigError: it is none that genkit writes.
    """
    read_setting(record, dict[str, Any], PLANNED)
    read_setting(record.get("instead"), dict[str, int | float | str | None], f"{PLANNED}.instead")
    if record.get("steps") is None:
        return
    read_setting(record["steps"], Steps, f"{PLANNED}.steps")
    read_setting(record["instead"].get(MAX_STEPS), Steps, f"{PLANNED}.instead.{MAX_STEPS}")
    corrections = read_setting(record.get("corrections"), list[list[int]], f"{PLANNED}.corrections")
    before, end = 0, record["steps"]
    for pair in corrections:
        if len(pair) != 2 or not before < pair[0] < min(end, pair[1]) or pair[1] not in Range(1, 2**40):
            raise ConfigError(f"{PLANNED}.corrections: {pair!r} is no correction")
        before, end = pair
    if len(corrections) > MOST:
        raise ConfigError(f"{PLANNED}.corrections: {len(corrections):,} of them")
    costs = read_setting(record.get("costs"), dict[str, float], f"{PLANNED}.costs")
    if set(costs) != set(Costs.__dataclass_fields__) or not all(value in Range(0, 1e9) for value in costs.values()):
        raise ConfigError(f"{PLANNED}.costs: not those of a training")

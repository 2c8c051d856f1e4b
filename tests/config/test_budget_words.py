"""Budgets as they are typed."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.config.budget import Budget
from genkit.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "seconds", "clock"),
    [
        ("2min", 120, "wall"),
        ("90s", 90, "wall"),
        ("1.5h", 5400, "wall"),
        ("2 hours", 7200, "wall"),
        ("1d", 86400, "wall"),
        ("600cpu_s", 600, "cpu"),
        ("10cpu_min", 600, "cpu"),
    ],
)
def test_a_length_of_time(value: str, seconds: float, clock: str) -> None:
    assert Budget.of(value) == Budget(seconds, clock)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (600, "give a unit"),
        (1.5, "give a unit"),
        ("2weeks", "no length of time"),
        ("min", "no length of time"),
        ("-3s", "no length of time"),
        ("", "no length of time"),
        (["2min"], "no length of time"),
        (True, "no length of time"),
        ("0s", "longer than nothing"),
        ("9000d", "at most a year"),
        ("1e400s", "no length of time"),
    ],
)
def test_what_is_none(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as found:
        Budget.of(value)
    assert said in str(found.value).lower()
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(("seconds", "typed"), [(3.2, "4s"), (119.0, "119s"), (121.0, "3min"), (7300.0, "3h")])
def test_a_value_to_type(seconds: float, typed: str) -> None:
    assert Budget(1, "wall").typed(seconds) == typed
    assert Budget.of(Budget(1, "cpu").typed(seconds)).seconds >= seconds

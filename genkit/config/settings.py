"""The verbs' own top-level keys and what they may hold; groups have their constructors for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from genkit.component import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range
from genkit.config.catalog import SHARED
from genkit.config.schema import describe, read
from genkit.errors import ConfigError

Paths = str | list[str] | None
COMMON: dict[str, Any] = {"seed": NonNegativeInt, "plugins": list[str], "debug": bool}
DRAWING: dict[str, Any] = {
    "weights": Literal["ema", "raw"],
    "out": str | None,
    "batch_size": PositiveInt,
    "device": str,
    "temperature": NonNegativeFloat | None,
    "truncation": PositiveFloat | None,
    "guidance.scale": Annotated[float, Range(0.0, 1e6)] | None,
    "guidance.weak": str | None,
    "guidance.interval": tuple[float, float] | None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "train": COMMON
    | {
        "run_dir": str | None,
        "resume": str | None,
        "start": str | None,
        "weights": Literal["ema", "raw"],
        "allow": list[str],
        "callbacks": dict[str, Any] | None,
        "metric": dict[str, Any] | None,
        "optimizer_overrides": dict[str, dict[str, float | bool | None]],
    },
    "sample": COMMON
    | DRAWING
    | {
        "ckpt": str | None,
        "n": PositiveInt,
        "y": NonNegativeInt | None,
        "show": Literal["interpolation", "reconstruction"] | None,
        "data": dict[str, str | None],
    },
    "eval": COMMON
    | DRAWING
    | {
        "ckpt": Paths,
        "metric": dict[str, Any] | None,
        "samples": Paths,
        "reference": str | None,
        "n": PositiveInt | None,
        "bootstrap": NonNegativeInt,
        "floor_repeats": NonNegativeInt,
        "neighbours": NonNegativeInt | None,
        "baselines": bool | list[str],
        "cache": bool,
        "sweep.sampler.steps": list[PositiveInt] | None,
        "sweep.guidance.scale": list[Annotated[float, Range(0.0, 1e6)]] | None,
        "sweep.temperature": list[NonNegativeFloat] | None,
        "sweep.truncation": list[PositiveFloat] | None,
    },
}


def check_settings(verb: str, config: Mapping[str, Any]) -> None:
    """Raises ConfigError for a top-level key with a value that it cannot take."""
    for key, hint in SETTINGS[SHARED.get(verb, verb)].items():
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        read_setting(value, hint, key)


def read_setting(value: Any, hint: Any, key: str) -> Any:
    """A value that is no object; raises ConfigError where it is not what `hint` says."""
    return read(value, hint, key, _no_object)


def _no_object(value: Any, hint: Any, at: str) -> Any:
    raise ConfigError(f"{at}: {value!r} is not {describe(hint)}")

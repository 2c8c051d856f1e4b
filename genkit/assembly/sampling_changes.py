"""Changes of how a checkpoint's model samples, from the command line: `sampler.steps=9`, `temperature=0.7`, …

The keys are those that the model's class declares (`genkit.component.AtSampling`): arguments of its constructor, which
replace those of the checkpoint, or of the methods of its abilities, which are called once it is restored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.config.build import parameters
from genkit.config.sampling_arguments import DeclaredArgument, SamplingCall, calls_of, declared_by
from genkit.config.suggestions import listing
from genkit.errors import ConfigError


def sorted_changes(
    cls: type, changes: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[SamplingCall, dict[str, Any]]]]:
    """The changes for a class's constructor, and the calls of its abilities with arguments by name.

    Raises:
        ConfigError: the class declares no such key, or a key lacks the one that it goes with.
    """
    rest = {key: value for key, value in changes.items() if value is not None and value != {}}
    own, calls = declared_by(cls), calls_of(cls)
    for key in rest:
        known = {*own, *(name for call in calls for name in call.arguments)}
        if key not in known:
            parts = (f"{one.key}.{part}" for one in own.values() for part, _ in one.mark.parts)
            meant = next((f"did you mean {part}=?" for part in parts if part.endswith(f".{key}")), "leave it out")
            has = f"; it has {listing(known)}" if known else ""
            raise ConfigError(f"{key}: {cls.__module__}.{cls.__qualname__} takes no such setting: {meant}{has}")
    found = []
    for call in calls:
        if call.model.key in rest:
            _require_other(call.model, rest)
            found.append((call, {one.argument: rest.pop(key) for key, one in call.arguments.items() if key in rest}))
    return rest, found


def _require_other(one: DeclaredArgument, changes: Mapping[str, Any]) -> None:
    other = one.mark.needs.partition("=")[0]
    if other and other not in changes:
        raise ConfigError(f"{one.key}: it goes with {other}=, such as {one.mark.needs}; it changes nothing without")


def with_changes(node: Mapping[str, Any], changes: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """The model's node with the keys of sampling that its class declares replaced.

    A checkpoint written before the class had a key lacks it.

    Raises:
        ConfigError: a key lacks the one that it goes with.
    """
    result, own = dict(node), declared_by(cls)
    for key, value in changes.items():
        one = own[key]
        other = own.get(one.mark.needs.partition("=")[0])
        if other is not None and not _is_set(node, other, cls):
            _require_other(one, changes)
        before = node.get(one.argument)
        replaces = not isinstance(value, Mapping) or "_target_" in value or not isinstance(before, Mapping)
        result[one.argument] = value if replaces else {**before, **value}  # type: ignore[dict-item]
    return result


def _is_set(node: Mapping[str, Any], one: DeclaredArgument, cls: type) -> bool:
    """Tell whether a checkpoint's own settings give an argument another value than its default."""
    default = parameters(cls)[one.argument].default
    return bool(node.get(one.argument, default) != default)

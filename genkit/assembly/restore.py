"""A trained model from its checkpoint alone: configuration, weights, and what the user wants changed for sampling.

The configuration in a checkpoint is not trusted: literals only, component classes only, plugins only from the caller,
and the sizes that it declares are checked against the tensors in the file before anything of that size is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from genkit.assembly.tensor_fit import require_within
from genkit.checkpoint.manifest import MODEL, TRAINING_TENSORS
from genkit.checkpoint.read import Checkpoint, find_checkpoint
from genkit.config.build import Plan, parameters, plan_of
from genkit.config.migrate import config_of
from genkit.config.sampling_arguments import DeclaredArgument, SamplingCall, calls_of, declared_by
from genkit.config.suggestions import listing
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, ConfigError, DataError
from genkit.models.base import GenerativeModel
from genkit.noise import generators_kept
from genkit.printing import shown
from genkit.training.names import RAW

T = TypeVar("T")


@dataclass(frozen=True)
class Restored:
    """A model and where it came from.

    Attributes:
        model: In eval mode, on the CPU; what learns in it asks for a gradient.
        checkpoint: The verified folder.
        config: Its config.json, in the present form.
        helpers: Trained models that it samples with, by the key that named them.
    """

    model: GenerativeModel
    checkpoint: Checkpoint
    config: dict[str, Any]
    helpers: Mapping[str, Restored] = field(default_factory=dict)


def load_model(path: str | Path, weights: str = "ema", plugins: Sequence[str] = ()) -> GenerativeModel:
    """The model alone; see `restore`. The caller's random generators are left as they were."""
    with generators_kept():
        return restore(path, weights=weights, plugins=plugins).model


def restore(
    path: str | Path,
    *,
    weights: str = "ema",
    plugins: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> Restored:
    """Builds the model of a checkpoint and fills in its weights.

    Args:
        path: A run folder, a checkpoint, or an export.
        weights: "ema" or "raw"; the same where no average was kept.
        plugins: Packages besides genkit that its classes may come from.
        changes: Keys of `genkit sample` that change how the model samples, as its class declares them; None is no
            change: {"sampler": {"steps": 9}, "temperature": 0.7}.

    Raises:
        CheckpointError: nothing intact there, or its configuration and tensors do not fit each other.
        ConfigError: a change that this model does not know.
    """
    checkpoint = find_checkpoint(path)
    config = config_of(checkpoint)
    node, spec = _parts(config, checkpoint)
    plan = _own_plan(node, plugins, checkpoint)
    kept, calls = sorted_out(plan.cls, changes or {})
    if kept:
        plan = _plan(changed(node, kept, plan.cls), plugins)
    make = partial(plan.make_with, spec=spec)
    file, prefix = stored(checkpoint, weights)
    require_within(make, spec, below(checkpoint.layout(file), prefix), checkpoint.path)
    model = make()
    model.load_state_dict(below(checkpoint.tensors(file), prefix))
    helpers = {
        call.model.key: restore(given[call.model.argument], weights=weights, plugins=plugins) for call, given in calls
    }
    for call, given in calls:
        helper = helpers[call.model.key].model.requires_grad_(False)
        getattr(model, call.method)(**given | {call.model.argument: helper})
    return Restored(model.eval(), checkpoint, config, helpers)


def require_fit(checkpoint: Checkpoint, node: Any, spec: DataSpec, plugins: Sequence[str] = ()) -> None:
    """Refuses a checkpoint whose tensors are not those of the model that `node` describes; allocates nothing.

    Raises:
        CheckpointError: they do not fit each other.
        ConfigError: the node is refused.
    """
    make = partial(_plan(node, plugins).make_with, spec=spec)
    for weights in ("ema", "raw"):
        file, prefix = stored(checkpoint, weights)
        require_within(make, spec, below(checkpoint.layout(file), prefix), checkpoint.path)


def sorted_out(
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
            has = f"; it has {listing(known)}" if known else ""
            raise ConfigError(f"{key}: {cls.__module__}.{cls.__qualname__} takes no such setting: leave it out{has}")
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


def changed(node: Mapping[str, Any], changes: Mapping[str, Any], cls: type) -> dict[str, Any]:
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


def _parts(config: Mapping[str, Any], checkpoint: Checkpoint) -> tuple[dict[str, Any], DataSpec]:
    try:
        return config["model"], _spec(config["spec"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, DataError) as error:
        raise CheckpointError(
            f"{shown(checkpoint.path)}: config.json lacks a model or a data spec: not genkit's"
        ) from error


def _spec(node: Any) -> DataSpec:
    """Raises ValueError, or what its reading raises, where the values are not those of a spec."""
    spec = DataSpec.from_json(node)
    sizes = [*spec.shape, *(size for size in (spec.kind.count, spec.num_classes) if size is not None)]
    sound = bool(spec.shape) and all(type(size) is int and 0 < size < 2**31 for size in sizes)
    sound = sound and math.prod(spec.shape) < 2**31
    if not (sound and spec.modality in get_args(Modality)):
        raise ValueError(f"no data spec: {node}")
    return spec


def _plan(node: Any, plugins: Sequence[str]) -> Plan:
    return plan_of(node, at="model", expect=GenerativeModel, plugins=plugins, trusted=False, gives=("spec",))


def _own_plan(node: Any, plugins: Sequence[str], checkpoint: Checkpoint) -> Plan:
    """Blame the checkpoint for what is wrong in its own configuration, not the command line."""
    try:
        return _plan(node, plugins)
    except ConfigError as error:
        raise CheckpointError(f"{shown(checkpoint.path)}: its configuration is refused: {error}") from error


def stored(checkpoint: Checkpoint, weights: str) -> tuple[str, str]:
    """The file that holds the "ema" or "raw" weights, and the prefix of their names in it; one where no average is."""
    if weights not in ("ema", "raw"):
        raise ConfigError(f"weights={weights}: choose ema or raw")
    averaged = TRAINING_TENSORS in checkpoint.manifest.files and any(
        name.startswith(RAW) for name in checkpoint.layout(TRAINING_TENSORS)
    )
    return (TRAINING_TENSORS, RAW) if weights == "raw" and averaged else (MODEL, "")


def below(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Select the entries with this prefix, and take it off."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

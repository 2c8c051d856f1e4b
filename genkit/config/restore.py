"""A trained model from its checkpoint alone: configuration, weights, and what the user wants changed for sampling.

The configuration in a checkpoint is not trusted: literals only, component classes only, plugins only from the caller,
and the sizes that it declares are checked against the tensors in the file before anything of that size is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from genkit.checkpoint.manifest import MODEL, TRAINING_TENSORS
from genkit.checkpoint.read import Checkpoint, find_checkpoint
from genkit.config.build import build, check, parameters
from genkit.config.migrate import config_of
from genkit.config.resolve import resolve
from genkit.config.within import require_within
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, ConfigError, DataError
from genkit.models.base import GenerativeModel
from genkit.noise import generators_kept
from genkit.printing import shown
from genkit.training.names import RAW

T = TypeVar("T")
MODEL_GROUPS = ("sampler",)  # keys of `genkit sample` that stand under the same name in a model's node
MODEL_KEYS = {
    "temperature": "temperature",
    "truncation": "truncation",
    "guidance.scale": "guidance_scale",
    "guidance.interval": "guidance_interval",
}


@dataclass(frozen=True)
class Restored:
    """A model and where it came from.

    Attributes:
        model: In eval mode, on the CPU; what learns in it asks for a gradient.
        checkpoint: The verified folder.
        config: Its config.json, in the present form.
        weak: What guides it, where something does.
    """

    model: GenerativeModel
    checkpoint: Checkpoint
    config: dict[str, Any]
    weak: Restored | None = None


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
        changes: Keys of `genkit sample` that change the model's node: {"sampler": {"steps": 9}, "temperature": 0.7}.

    Raises:
        CheckpointError: nothing intact there, or its configuration and tensors do not fit each other.
        ConfigError: a change that this model does not know.
    """
    checkpoint = find_checkpoint(path)
    config = config_of(checkpoint)
    node, spec = _parts(config, checkpoint)
    _check_own(node, plugins, checkpoint)
    node = changed(node, changes or {}, plugins)
    file, prefix = stored(checkpoint, weights)

    make = _maker(node, spec, plugins)
    require_within(make, spec, below(checkpoint.layout(file), prefix), checkpoint.path)
    model = make()
    model.load_state_dict(below(checkpoint.tensors(file), prefix))
    return Restored(model.eval(), checkpoint, config)


def require_fit(checkpoint: Checkpoint, node: Any, spec: DataSpec, plugins: Sequence[str] = ()) -> None:
    """Refuses a checkpoint whose tensors are not those of the model that `node` describes; allocates nothing.

    Raises:
        CheckpointError: they do not fit each other.
        ConfigError: the node is refused.
    """
    for weights in ("ema", "raw"):
        file, prefix = stored(checkpoint, weights)
        require_within(_maker(node, spec, plugins), spec, below(checkpoint.layout(file), prefix), checkpoint.path)


def changed(node: Mapping[str, Any], changes: Mapping[str, Any], plugins: Sequence[str] = ()) -> dict[str, Any]:
    """The model's node with sampling keys replaced; None means the checkpoint's value.

    What the model can be told is asked of its class: a checkpoint written before it had the key lacks it.

    Raises:
        ConfigError: the model has no such key.
    """
    result = dict(node)
    known = parameters(resolve(node["_target_"], at="model", plugins=plugins, trusted=False))
    for key, value in changes.items():
        if value is None or value == {}:
            continue
        name = MODEL_KEYS.get(key, key)
        if name not in known:
            raise ConfigError(f"{key}: {node.get('_target_', 'this model')} has none: leave it out")
        replaces = not isinstance(value, Mapping) or "_target_" in value or not isinstance(node.get(name), Mapping)
        result[name] = value if replaces else {**node[name], **value}
    return result


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


def _check_own(node: Any, plugins: Sequence[str], checkpoint: Checkpoint) -> None:
    """What is wrong in the checkpoint's own configuration is the checkpoint's fault, not the command line's."""
    try:
        check(node, at="model", expect=GenerativeModel, plugins=plugins, trusted=False, gives=("spec",))
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


def _maker(node: Any, spec: DataSpec, plugins: Sequence[str]) -> Callable[[], GenerativeModel]:
    return partial(build, node, at="model", expect=GenerativeModel, plugins=plugins, trusted=False, spec=spec)


def below(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """What has this prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

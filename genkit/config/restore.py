"""A trained model from its checkpoint alone: configuration, weights, and what the user wants changed for sampling.

The configuration in a checkpoint is not trusted: literals only, component classes only, plugins only from the caller,
and the sizes that it declares are checked against the tensors in the file before anything of that size is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from genkit.checkpoint.read import Checkpoint, find_checkpoint
from genkit.config.build import build, check, parameters
from genkit.config.resolve import resolve
from genkit.data.spec import DataSpec, Modality
from genkit.errors import CheckpointError, ConfigError
from genkit.models.base import GenerativeModel
from genkit.storage.disk import shown
from genkit.training.names import RAW

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
        model: In eval mode, on the CPU.
        checkpoint: The verified folder.
        config: Its config.json.
        weak: What guides it, where something does.
    """

    model: GenerativeModel
    checkpoint: Checkpoint
    config: dict[str, Any]
    weak: Restored | None = None


def load_model(path: str | Path, weights: str = "ema", plugins: Sequence[str] = ()) -> GenerativeModel:
    """The model alone; see `restore`."""
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
    config = checkpoint.config()
    node, spec = _parts(config, checkpoint)
    _check_own(node, plugins, checkpoint)
    node = changed(node, changes or {}, plugins)
    state = _weights(checkpoint, weights)
    model = _build_within(node, spec, plugins, state, checkpoint)
    model.load_state_dict(state)
    return Restored(model.eval().requires_grad_(False), checkpoint, config)


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
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise CheckpointError(
            f"{shown(checkpoint.path)}: config.json lacks a model or a data spec: not genkit's"
        ) from error


def _spec(node: Any) -> DataSpec:
    """Raises ValueError, or what its reading raises, where the values are not those of a spec."""
    spec = DataSpec.from_json(node)
    sizes = [*spec.shape, *(size for size in (spec.levels, spec.num_classes) if size is not None)]
    sound = bool(spec.shape) and all(type(size) is int and 0 < size < 2**31 for size in sizes)
    sound = sound and math.prod(spec.shape) < 2**31
    lo, hi = spec.value_range or (0.0, 1.0)
    if not (sound and spec.modality in get_args(Modality) and -1e12 < lo < hi < 1e12):
        raise ValueError(f"no data spec: {node}")
    return spec


def _check_own(node: Any, plugins: Sequence[str], checkpoint: Checkpoint) -> None:
    """What is wrong in the checkpoint's own configuration is the checkpoint's fault, not the command line's."""
    try:
        check(node, at="model", expect=GenerativeModel, plugins=plugins, trusted=False, gives=("spec",))
    except ConfigError as error:
        raise CheckpointError(f"{shown(checkpoint.path)}: its configuration is refused: {error}") from error


def _weights(checkpoint: Checkpoint, weights: str) -> dict[str, Tensor]:
    if weights not in ("ema", "raw"):
        raise ConfigError(f"weights={weights}: choose ema or raw")
    if weights == "raw" and checkpoint.manifest.kind != "export":
        tensors, _ = checkpoint.training()
        raw = {name.removeprefix(RAW): value for name, value in tensors.items() if name.startswith(RAW)}
        if raw:
            return raw
    return checkpoint.model()


def _build_within(
    node: Any, spec: DataSpec, plugins: Sequence[str], state: Mapping[str, Tensor], checkpoint: Checkpoint
) -> GenerativeModel:
    """The model with its parameters still unallocated, refused where its shapes are not those of the file."""
    with torch.device("meta"), DrawnNumbersAreReal():
        shapes = {
            name: tuple(value.shape)
            for name, value in build(
                node, at="model", expect=GenerativeModel, plugins=plugins, trusted=False, spec=spec
            )
            .state_dict()
            .items()
        }
    stored = {name: tuple(value.shape) for name, value in state.items()}
    if shapes != stored:
        name = next(iter(sorted(set(shapes.items()) ^ set(stored.items()))))[0]
        raise CheckpointError(
            f"{shown(checkpoint.path)}: {name} is {stored.get(name, 'missing')} in the file and "
            f"{shapes.get(name, 'absent')} in its configuration: the checkpoint does not fit itself"
        )
    return build(node, at="model", expect=GenerativeModel, plugins=plugins, trusted=False, spec=spec)


class DrawnNumbersAreReal(TorchFunctionMode):
    """Inside `torch.device("meta")`: what a constructor draws from a generator of its own exists.

    Such numbers (a permutation of the dimensions) decide the structure of a model, not its weights.
    """

    DRAWS = (torch.randperm, torch.randint, torch.rand, torch.randn)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func in self.DRAWS and isinstance(given.get("generator"), torch.Generator):
            given = {"device": given["generator"].device, **given}
        return func(*args, **given)

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
from typing import Any, get_args

from genkit.assembly.sampling_changes import sorted_changes, with_changes
from genkit.assembly.tensor_fit import require_within
from genkit.checkpoint.read import Checkpoint, find_checkpoint
from genkit.checkpoint.weights import weights_file, without_prefix
from genkit.config.build import Plan, plan_of
from genkit.config.migrate import config_of
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, ConfigError, DataError
from genkit.models.base import GenerativeModel
from genkit.noise import generators_kept
from genkit.printing import shown


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
    kept, calls = sorted_changes(plan.cls, changes or {})
    if kept:
        plan = _plan(with_changes(node, kept, plan.cls), plugins)
    make = partial(plan.make_with, spec=spec)
    file, prefix = weights_file(checkpoint, weights)
    require_within(make, spec, without_prefix(checkpoint.layout(file), prefix), checkpoint.path)
    model = make()
    model.load_state_dict(without_prefix(checkpoint.tensors(file), prefix))
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
        file, prefix = weights_file(checkpoint, weights)
        require_within(make, spec, without_prefix(checkpoint.layout(file), prefix), checkpoint.path)


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

"""Check the training state of a checkpoint against the run that resumes, before any of it is used.

training.json is untrusted input like everything else in a run folder. Its counters are whole numbers, an optimizer's
groups have the values that the configured optimizer has, each tensor of its state has the shape of its parameter, and
the step is that of the manifest. What an optimizer keeps of a parameter is asked of itself: it takes one step on a
small stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from genkit.errors import CheckpointError
from genkit.models.base import GenerativeModel
from genkit.models.training_state import TrainingState
from genkit.printing import shown

LARGEST = 2**48  # of a counter
TRAINING_STATE = "model_training_state"  # the key of a model's own state of the training

State = Mapping[Any, Any]


def number_or_none(value: Any, what: str) -> Any:
    """A value of a callback's state, refused where it is no number."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise damaged(f"{what} is {shown(repr(value), 40)}")
    return value


def count(value: Any, what: str) -> int:
    """A whole number of a callback's state."""
    if type(value) is not int or not 0 <= value < LARGEST:
        raise damaged(f"{what} is {shown(repr(value), 40)}")
    return value


def damaged(what: str) -> CheckpointError:
    return CheckpointError(f"training.json: {what}: use another checkpoint or a fresh copy")


def check_state(state: State, step: int) -> None:
    """The parts of a state that no object is needed for.

    Raises:
        CheckpointError: one of them is missing, or is not what a run of `step` optimizer steps leaves.
    """
    for key, kind in (("loops", dict), ("callbacks", dict), ("latest", dict), ("lr_schedulers", list)):
        if type(state.get(key)) is not kind:
            raise damaged(f"{key} is missing or malformed")
    if state.get("global_step") != step:
        raise damaged(f"it is of step {shown(state.get('global_step'), 40)}, its manifest of step {step:,}")
    for place, value in (*_leaves(state["loops"], "loops"), ("epoch", state.get("epoch"))):
        if type(value) not in (int, bool) or not 0 <= value < LARGEST:
            raise damaged(f"{place} is {shown(repr(value), 40)}, not a count")
    for name, value in state["latest"].items():
        if not isinstance(name, str) or type(value) is not float:
            raise damaged(f"latest holds {shown(repr(name), 40)}: {shown(repr(value), 40)}")


def check_optimizer(states: Any, optimizer: Optimizer) -> None:
    """The state of the one optimizer, against the optimizer of the configuration.

    Raises:
        CheckpointError: they are not alike.
    """
    fresh = optimizer.state_dict()["param_groups"]
    if not isinstance(states, list) or len(states) != 1 or not isinstance(states[0], dict):
        raise damaged("optimizer_states does not hold one optimizer")
    groups, kept = states[0].get("param_groups"), states[0].get("state")
    if not isinstance(groups, list) or len(groups) != len(fresh) or not isinstance(kept, dict):
        raise damaged("optimizer_states has other groups than the optimizer")
    for group, own, live in zip(groups, fresh, optimizer.param_groups, strict=True):
        _check_group(group, own)
        templates: dict[tuple[int, torch.dtype], dict[str, Any] | None] = {}
        for index, parameter in zip(own["params"], live["params"], strict=True):
            kind = parameter.dim(), parameter.dtype
            if kind not in templates:
                templates[kind] = _template(optimizer, live, *kind)
            template = templates[kind]
            if index in kept and template is not None:
                _check_kept(kept[index], template, parameter)
    known = {index for own in fresh for index in own["params"]}
    if not set(kept) <= known:
        raise damaged("optimizer_states has a state of no parameter")


def check_schedulers(states: Sequence[Any], scheduler: Any) -> None:
    """The state of the one schedule, whose attributes it would replace.

    Raises:
        CheckpointError: it has others, or of another type.
    """
    own = scheduler.state_dict()
    if len(states) != 1 or not isinstance(states[0], dict) or not set(states[0]) <= set(own):
        raise damaged("lr_schedulers does not hold one schedule")
    for key, value in states[0].items():
        if not _alike(value, own[key]):
            raise damaged(f"lr_schedulers.{key} is {shown(repr(value), 40)}")


def load_training_state(model: GenerativeModel, state: Any) -> None:
    """Give a model the state of the training that is its own, where it has such.

    Raises:
        CheckpointError: it is missing, or not of this model.
    """
    if not isinstance(model, TrainingState):
        return
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise damaged(f"{TRAINING_STATE} is missing or malformed")
    try:
        model.load_training_state(state)
    except ValueError as error:
        raise damaged(f"{TRAINING_STATE}: {error}") from error


def _check_group(group: Any, own: Mapping[str, Any]) -> None:
    if not isinstance(group, dict) or set(group) != set(own) or group["params"] != own["params"]:
        raise damaged("optimizer_states has a group with other keys than the optimizer's")
    for key, value in group.items():
        if not _alike(value, own[key]):
            raise damaged(f"optimizer_states.{key} is {shown(repr(value), 40)}")


def _alike(value: Any, own: Any) -> bool:
    """Tell whether a stored value may replace a configured one: of the same kind, and negative only where that is."""
    if isinstance(own, list | tuple):
        same = isinstance(value, list | tuple) and len(value) == len(own)
        return same and all(_alike(item, one) for item, one in zip(value, own, strict=True))
    if isinstance(own, bool) or own is None:
        return value is None or isinstance(value, bool)
    if isinstance(own, int | float):
        return type(value) in (int, float) and (value >= 0 or own < 0) and abs(value) < LARGEST
    return type(value) is type(own) and value == own


def _template(
    optimizer: Optimizer, group: Mapping[str, Any], dimensions: int, dtype: torch.dtype
) -> dict[str, Any] | None:
    """The state that the optimizer keeps of a parameter with so many dimensions, found by a step on a small one."""
    small = nn.Parameter(torch.zeros([2] * dimensions, dtype=dtype))
    small.grad = torch.zeros_like(small)
    options = {key: value for key, value in group.items() if key in optimizer.defaults}
    make: Any = type(optimizer)
    try:
        alone = make([{**options, "params": [small]}])
        alone.step()
    except Exception:  # one that takes no such parameter alone, or is not made so
        return None
    return dict(alone.state[small])


def _check_kept(kept: Any, template: Mapping[str, Any], parameter: Tensor) -> None:
    if not isinstance(kept, dict) or set(kept) != set(template):
        raise damaged("optimizer_states keeps other things of a parameter than the optimizer does")
    for key, own in template.items():
        value = kept[key]
        if isinstance(own, Tensor):
            shape = parameter.shape if own.dim() == parameter.dim() and own.dim() else own.shape
            if not isinstance(value, Tensor) or value.shape != shape or value.dtype != _dtype(own, parameter):
                raise damaged(f"optimizer_states keeps a {key} that is not of its parameter's shape and type")
        elif not _alike(value, own):
            raise damaged(f"optimizer_states keeps the {key} {shown(repr(value), 40)}")


def _dtype(own: Tensor, parameter: Tensor) -> torch.dtype:
    return parameter.dtype if own.dim() else own.dtype


def _leaves(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{place}.{shown(key, 40)}")
    else:
        yield place, node

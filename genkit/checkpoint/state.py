"""Nested state as tensors beside a JSON tree, and exactly back.

`optimizer.state_dict()` and its like are dicts with integer keys, tuples, infinities and tensors: JSON alone would turn
the keys into strings and the tuples into lists. The tree keeps every type:

    None, bool, int, str, finite float, list      as in JSON (a float has a point or an exponent, an int has none)
    {"float64": "7ff0000000000000"}               infinity and NaN, by their 64 bits, big-endian
    {"tuple": […]}                                a tuple
    {"dict" | "ordered_dict" | "counter": [[key, value], …]}      in order; keys None, bool, int, float or str
    {"tensor": NAME}                              a tensor of the accompanying dictionary

Anything else, subclasses included, is refused: what cannot come back exactly is not written.
"""

from __future__ import annotations

import math
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from genkit.checkpoint.strict_json import DEEPEST
from genkit.errors import CheckpointError

_DICTS: dict[str, type] = {"dict": dict, "ordered_dict": OrderedDict, "counter": Counter}
_DICT_NAMES = {kind: name for name, kind in _DICTS.items()}
_SCALARS = (type(None), bool, int, float, str)
_LARGEST_INT = 1024  # bits; the text of much larger ones cannot be read back


def flatten_state(state: object) -> tuple[dict[str, Tensor], Any]:
    """Splits a nested state into tensors, named by where they stand, and a JSON tree that refers to them.

    Raises:
        CheckpointError: a value has a type that would not come back exactly; the message says where.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _flatten(state, (), tensors)


def restore_state(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that `flatten_state` was given: same types, same order, floats to the bit, the tensors themselves.

    Raises:
        CheckpointError: the tree is not one that `flatten_state` makes, or names a tensor that is not there.
    """
    if tree is None or type(tree) in (bool, int, float, str):
        return tree
    if type(tree) is list:
        return [restore_state(item, tensors) for item in tree]
    if type(tree) is dict and len(tree) == 1:
        ((tag, value),) = tree.items()
        if tag in _RESTORE:
            return _RESTORE[tag](tag, value, tensors)
    raise _malformed(tree)


def _flatten(value: object, path: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    kind = type(value)
    if len(path) * 3 > DEEPEST:  # a dict in the tree is three levels of JSON
        raise CheckpointError(f"state {_place(path)}: nested too deep for a checkpoint: flatten it")
    if isinstance(value, Tensor):
        return {"tensor": _named(value, path, tensors)}
    if kind in _SCALARS:
        return _flatten_scalar(value, path)
    if isinstance(value, list | tuple) and kind in (list, tuple):
        items = [_flatten(item, (*path, str(index)), tensors) for index, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if isinstance(value, dict) and kind in _DICT_NAMES:
        pairs = [[_key(key, path), _flatten(item, (*path, str(key)), tensors)] for key, item in value.items()]
        return {_DICT_NAMES[kind]: pairs}
    raise CheckpointError(f"state {_place(path)}: a {kind.__name__} cannot be stored exactly: use plain values")


def _flatten_scalar(value: object, path: tuple[str, ...]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float64": struct.pack(">d", value).hex()}
    if isinstance(value, int) and value.bit_length() > _LARGEST_INT:
        raise CheckpointError(f"state {_place(path)}: an integer of {value.bit_length()} bits: store it as a tensor")
    return value


def _key(key: object, path: tuple[str, ...]) -> Any:
    if type(key) not in _SCALARS:
        raise CheckpointError(f"state {_place(path)}: a key of type {type(key).__name__}: use an int or a string")
    return _flatten_scalar(key, path)


def _named(tensor: Tensor, path: tuple[str, ...], tensors: dict[str, Tensor]) -> str:
    """Stores the tensor under its place; {1: a, "1": b} and the like make a second one of the same name."""
    place = name = _place(path)
    while name in tensors:
        name = f"{place}#{len(tensors)}"
    tensors[name] = tensor.detach()
    return name


def _place(path: tuple[str, ...]) -> str:
    place = "/".join(path) or "value"
    return place if place.isprintable() else place.encode("unicode_escape", "backslashreplace").decode("ascii")


def _restore_dict(tag: str, value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if type(value) is not list or not all(type(pair) is list and len(pair) == 2 for pair in value):
        raise _malformed(value)
    keys = [restore_state(key, {}) for key, _ in value]
    if not all(type(key) in _SCALARS for key in keys):
        raise _malformed(value)
    return _DICTS[tag](dict(zip(keys, (restore_state(item, tensors) for _, item in value), strict=True)))


def _restore_tuple(tag: str, value: Any, tensors: Mapping[str, Tensor]) -> tuple[Any, ...]:
    if type(value) is not list:
        raise _malformed(value)
    return tuple(restore_state(item, tensors) for item in value)


def _restore_tensor(tag: str, value: Any, tensors: Mapping[str, Tensor]) -> Tensor:
    if type(value) is not str or value not in tensors:
        raise CheckpointError(f"training state: there is no tensor {value!r}: use another checkpoint")
    return tensors[value]


def _restore_float(tag: str, value: Any, tensors: Mapping[str, Tensor]) -> float:
    try:
        (number,) = struct.unpack(">d", bytes.fromhex(value))
    except (TypeError, ValueError, struct.error) as error:
        raise _malformed(value) from error
    return float(number)


def _malformed(tree: object) -> CheckpointError:
    return CheckpointError(f"training state: {str(tree)[:60]!r} is no part of a state tree: use another checkpoint")


_RESTORE: dict[str, Callable[[str, Any, Mapping[str, Tensor]], Any]] = {
    **dict.fromkeys(_DICTS, _restore_dict),
    "tuple": _restore_tuple,
    "tensor": _restore_tensor,
    "float64": _restore_float,
}

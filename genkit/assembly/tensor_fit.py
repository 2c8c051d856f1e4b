"""A model built only where the file of its weights holds it: names, shapes, dtypes and sizes are compared beforehand.

The model is first built without memory, on torch's meta device, while every parameter and buffer that its constructor
registers is counted. A specification that asks for more than the file could hold, a thousand blocks or a flow on 2^28
values, is refused when the count says so, and what no tensor of the file pins down is bounded by its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from genkit.checkpoint.header import TensorLayout
from genkit.checkpoint.tensors import DTYPES
from genkit.data.spec import DataSpec
from genkit.errors import CheckpointError, GenkitError
from genkit.models.base import GenerativeModel
from genkit.printing import one_line, shown
from genkit.upgrade import upgraded

LARGEST_EXAMPLE = 2**26  # values of one example
SPARE_PARTS, PARTS = 10_000, 64  # that a constructor may register: so many, and so many for each tensor of the file
SPARE_VALUES, VALUES = 2**24, 16  # the same for their values
SPARE_BYTES = 2**28  # of buffers that are not stored

Layouts = Mapping[str, TensorLayout]


def require_within(make: Callable[[], GenerativeModel], spec: DataSpec, stored: Layouts, path: Path) -> None:
    """Builds the model without memory and compares it with what a file holds.

    Args:
        make: Builds it, on the default device.
        spec: The data that the checkpoint declares.
        stored: The tensors of the file.
        path: The checkpoint, for messages.

    Raises:
        CheckpointError: they do not fit each other, or the model could not be built.
        ConfigError: a key of its configuration is refused.
    """
    total = sum(layout.numel for layout in stored.values())
    _require_pinned(spec, total, path)
    try:
        with torch.device("meta"), DrawnNumbersAreReal(), _counted(total, len(stored), path):
            model = make()
            built = model.state_dict()
    except (GenkitError, MemoryError):
        raise
    except Exception as error:  # any error of a constructor whose sizes do not go together
        reason = f"{type(error).__name__}: {one_line(str(error), 200)}"
        raise CheckpointError(f"{shown(path)}: its configuration builds no model ({reason})") from error
    _compare(built, _upgraded(model, stored), path)
    unstored = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    if unstored > VALUES * total + SPARE_BYTES:
        raise CheckpointError(
            f"{shown(path)}: its configuration asks for {unstored:,} bytes that its file does not hold"
        )


def _require_pinned(spec: DataSpec, total: int, path: Path) -> None:
    """No model of vectors has fewer weights than half of a vector's values, none of images fewer than channels."""
    least = spec.shape[0] if spec.modality == "image" else spec.dim // 2 if spec.modality == "vector" else 0
    if spec.dim > LARGEST_EXAMPLE or least > total:
        raise CheckpointError(
            f"{shown(path)}: config.json declares examples of {spec.dim:,} values, for a file of {total:,} weights: "
            "the checkpoint does not fit itself"
        )


@contextmanager
def _counted(total: int, tensors: int, path: Path) -> Iterator[None]:
    """Refuses a constructor that registers far more than the file holds."""
    parts, values = 0, 0
    most_parts, most_values = PARTS * tensors + SPARE_PARTS, VALUES * total + SPARE_VALUES

    def count(owner: nn.Module, name: str, value: Any) -> None:
        nonlocal parts, values
        parts += 1
        values += value.numel() if isinstance(value, Tensor) else 0
        if parts > most_parts or values > most_values:
            raise CheckpointError(
                f"{shown(path)}: its configuration describes a model far larger than its file: the checkpoint does not "
                "fit itself"
            )

    with ExitStack() as stack:
        for register in (
            hooks.register_module_parameter_registration_hook,
            hooks.register_module_buffer_registration_hook,
            hooks.register_module_module_registration_hook,
        ):
            stack.enter_context(register(count))
        yield


def _upgraded(model: GenerativeModel, stored: Layouts) -> Layouts:
    """Bring what the file holds into the form that modules with an earlier form of their state give it in loading."""
    shapes = {name: torch.empty(layout.shape, device="meta") for name, layout in stored.items()}
    before = {id(shape): stored[name] for name, shape in shapes.items()}  # of a tensor that has another name now
    state = upgraded(model, shapes)
    return {
        name: replace(before.get(id(shape)) or stored[name], shape=tuple(shape.shape)) for name, shape in state.items()
    }


def _compare(built: Mapping[str, Tensor], stored: Layouts, path: Path) -> None:
    for name in sorted(built.keys() | stored.keys()):
        has = "missing" if name not in stored else stored[name].shape
        wants = "absent" if name not in built else tuple(built[name].shape)
        if has != wants:
            raise CheckpointError(
                f"{shown(path)}: {shown(name)} is {has} in the file and {wants} in its configuration: "
                "the checkpoint does not fit itself"
            )
        if not may_become(stored[name].dtype, built[name].dtype):
            raise CheckpointError(
                f"{shown(path)}: {shown(name)} is stored as {stored[name].dtype} and the model's is "
                f"{DTYPES.get(built[name].dtype, built[name].dtype)}: the checkpoint does not fit itself"
            )


def may_become(stored: str, dtype: torch.dtype) -> bool:
    """Tell whether a stored tensor is meant to be cast: real numbers are, everything else has its type."""
    return stored == DTYPES.get(dtype) or (stored in ("F64", "F32", "F16", "BF16") and dtype.is_floating_point)


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

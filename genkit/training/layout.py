"""Weights and optimizer state as a GPU reads them best: channels last, and alike in memory.

A convolution reads and writes channels last where its weights lie so; nothing else has to be told. Kernels that take a
whole optimizer step want a parameter and what is kept of it in one layout, which a checkpoint does not remember.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def channels_last(model: nn.Module) -> None:
    """Lay the four-dimensional parameters of a model channels last, in place: the same values elsewhere in memory."""
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def settle(optimizer: Optimizer) -> None:
    """Give an optimizer that was restored its own way of stepping, and its state the layout and place of its kernel.

    The state may come from a run on another device, with another layout, or with a kernel for each parameter.
    """
    fused = optimizer.defaults.get("fused")
    for group in optimizer.param_groups:
        if "fused" not in group:
            continue
        group["fused"] = fused
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            state.update({key: _beside(parameter, value, fused) for key, value in state.items()})


def _beside(parameter: Tensor, value: Any, fused: bool | None) -> Any:
    if not isinstance(value, Tensor):
        return value
    if value.dim() == 0:  # the number of steps
        return value.to(parameter.device if fused else "cpu")
    if value.shape == parameter.shape and value.stride() != parameter.stride():
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return value

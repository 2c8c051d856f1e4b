"""Find the origin of a number that is not finite: run the failing micro-batch again, checking each module's output.

Forward, the first module whose output is not finite is the one that made it. Backward, gradients travel from the loss
to the weights, so the first module whose output receives one that is not finite stands just before its origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from genkit.data.spec import Batch

Rerun = Callable[[], Mapping[str, Tensor]]


def origin_of_loss(model: nn.Module, batch: Batch, rerun: Rerun) -> str:
    """A clause about a loss that is not finite: "first in encoder.0 (Linear)".

    Args:
        model: What computes the loss.
        batch: The micro-batch.
        rerun: Computes the loss terms of that micro-batch again, from the same noise.
    """
    if not _finite(batch["x"]):
        return "the batch itself is not finite"
    if (weight := next((name for name, p in model.named_parameters() if not _finite(p)), None)) is not None:
        return f"the weight {weight} is not finite since an earlier step"
    found: list[str] = []
    _watch(model, rerun, lambda name, output: None if _finite(output) else found.append(name))
    return f"first in {found[0]}" if found else "the output of every module is finite: it arose in the loss itself"


def origin_of_gradient(model: nn.Module, rerun: Rerun) -> str:
    """A clause about a gradient that is not finite: "first at the output of encoder.0 (Linear)"; "" for none."""
    found: list[str] = []

    def watch(name: str, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: None if _finite(gradient) else found.append(name))

    _watch(model, lambda: _differentiated(rerun(), model), watch)
    return f"first at the output of {found[0]}" if found else ""


def non_finite_gradient(model: nn.Module) -> str | None:
    """The first parameter whose gradient is not finite."""
    return next((n for n, p in model.named_parameters() if p.grad is not None and not _finite(p.grad)), None)


def _differentiated(terms: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """The terms, once gradients have passed all modules; none is kept, and none averaged with other processes'."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    torch.autograd.grad(terms["loss"], learning, allow_unused=True)
    return terms


def _watch(model: nn.Module, rerun: Rerun, look: Callable[[str, Tensor], None]) -> None:
    """Calls `look` with the name of each module below `model` and each tensor that it returns, in order."""

    def hook_of(name: str, module: nn.Module) -> Callable[[Any, Any, Any], None]:
        label = f"{name} ({type(module).__name__})"

        def hook(_: Any, inputs: Any, output: Any) -> None:
            for tensor in _tensors(output):
                look(label, tensor)

        return hook

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if name:
                hooks.enter_context(module.register_forward_hook(hook_of(name, module)))
        rerun()


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, list | tuple):
        for item in output:
            yield from _tensors(item)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())

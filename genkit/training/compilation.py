"""Compilation of a model's networks by `torch.compile`, in place.

Only the networks are compiled, since they are where the time goes: noise, losses and phases stay as they are written. A
compiled network has the parameters and the names that it had, and a copy of it is not compiled: the averaged copy
validates and samples without. Numbers change in their last bits, so that a run keeps to what it began with.
"""

from __future__ import annotations

from torch import nn

from genkit.errors import ConfigError
from genkit.models.base import GenerativeModel

DIVERSE = 64  # shapes and phases of one function before torch gives up compiling it again


def networks_of(model: GenerativeModel) -> list[nn.Module]:
    """The networks of a model that can be compiled.

    Raises:
        ConfigError: it has none.
    """
    if networks := list(model.compilable()):
        return networks
    name = type(model).__name__
    raise ConfigError(f"trainer.compile=true: {name} has no network that can be compiled: leave trainer.compile out")


def compile_networks(model: GenerativeModel, backend: str = "inductor") -> None:
    """Have torch compile the networks of a model when they are first used.

    Args:
        model: Names them, see `GenerativeModel.compilable`.
        backend: Of torch.compile.

    Raises:
        ConfigError: it has none.
    """
    networks = networks_of(model)
    import torch._dynamo  # a second, for those who compile alone

    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, DIVERSE)
    for network in networks:
        network.compile(backend=backend)

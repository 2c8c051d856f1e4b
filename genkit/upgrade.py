"""Upgrade module states from the form of earlier versions' checkpoints to the present one.

`upgraded` does it for the state dict of a whole model; a module that calls `upgrade_in_loading` does it in every
call of `load_state_dict`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn


class Upgradable(ABC):
    """A module whose tensors had other shapes or names in the checkpoints of an earlier version."""

    @abstractmethod
    def upgrade(self, state: dict[str, Any], prefix: str) -> None:
        """Give the tensors of a state dict whose names begin with `prefix` their present form, in place.

        A state dict of the present form stays as it is.
        """


class RetiredBuffers(Upgradable):
    """A module that stored more in earlier versions than it needs.

    Attributes:
        retired: The names of those buffers.
    """

    retired: ClassVar[tuple[str, ...]]

    def upgrade(self, state: dict[str, Any], prefix: str) -> None:
        for name in self.retired:
            state.pop(prefix + name, None)


def upgrade_in_loading(module: nn.Module) -> None:
    """Let an `Upgradable` module load the state dicts of earlier versions."""
    module.register_load_state_dict_pre_hook(_upgrade)


def upgraded(model: nn.Module, state: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A state dict of any version of the model's modules in its present form; its names begin with `prefix`."""
    result = dict(state)
    for name, module in model.named_modules():
        if isinstance(module, Upgradable):
            module.upgrade(result, prefix + (f"{name}." if name else ""))
    return result


def _upgrade(module: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    assert isinstance(module, Upgradable)
    assert isinstance(state, dict)
    module.upgrade(state, prefix)

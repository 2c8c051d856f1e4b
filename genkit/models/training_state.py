"""The ability of state that belongs to a training alone: a replay buffer, the chains of a sampler.

It is neither weight nor optimizer. A checkpoint holds it beside these, so that a resumed run goes on to the last bit;
no average is taken of it, no export has it, and a model that was restored to be sampled lacks it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor


class TrainingState(ABC):
    """Ability: tensors that `losses` moves and a resumed training needs."""

    @abstractmethod
    def training_state(self) -> dict[str, Tensor]:
        """The tensors by name; none before the first step."""

    @abstractmethod
    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `training_state` gave.

        Raises ValueError, with what is wrong in words, for tensors that are not of this model.
        """

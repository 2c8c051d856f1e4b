"""The ability of a model to tell from its loss terms that a training is lost, before a number stops being finite."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor


class Guarded(ABC):
    """Ability: terms of `losses` that end the training where they leave their range."""

    @abstractmethod
    def lost(self, terms: Mapping[str, Tensor]) -> str | None:
        """The cause and what to change, in one line, where these terms (each ()) say that the training is lost.

        Asked at the steps whose numbers are looked at: all of them on a CPU.
        """

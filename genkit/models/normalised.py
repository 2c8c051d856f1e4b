"""The ability of a density whose normaliser is computed apart: what stands behind its numbers."""

from abc import ABC, abstractmethod
from typing import Any

from genkit.models.density import Density


class Normalised(Density, ABC):
    """Ability: log p(x) = f(x) − log Z, with a log Z that is computed or estimated after training."""

    @abstractmethod
    def normaliser_facts(self) -> dict[str, Any]:
        """ "log_z" and "log_z_se", numbers or one for each label, and "log_z_method", in words.

        "log_z_caution" says what a reader has to know of likelihoods by it, where there is something.
        """

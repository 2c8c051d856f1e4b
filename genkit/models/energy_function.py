r"""The ability of an energy: a scalar of each example that is low where data lies.

.. math:: p(x) = e^{-E(x)} / Z, \qquad Z = \int e^{-E(x)}\, dx

The energy is −log p up to a constant that need not be known. It orders examples by how typical they are, and its
gradient moves them towards what is (`genkit/models/score_function.py`).
"""

from abc import ABC, abstractmethod

from torch import Tensor


class Energy(ABC):
    """Ability: an unnormalised −log p(x), low for what is likely."""

    @abstractmethod
    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Model values x (B, *shape) and labels y (B,) of a conditional model to E (B,) in nats.

        It is differentiable in x. Energies of one model compare, those under two labels only where the model was
        trained on them jointly.

        Raises:
            DataError: x has another shape or type.
            ConfigError: labels that this model does not take, or lacks.
        """

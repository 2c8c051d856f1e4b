r"""The ability of a score: the direction in which an example becomes likelier,

.. math:: s_\sigma(x) = \nabla_x \log p_\sigma(x),

with p_σ the density of data to which Gaussian noise of standard deviation σ was added, p_0 the data's own (Hyvärinen
2005; Vincent 2011; Song & Ermon 2019, 1907.05600).
"""

from abc import ABC, abstractmethod

from torch import Tensor


class ScoreFunction(ABC):
    """Ability: ∇ log p of an example, of noise levels that the model knows."""

    @property
    @abstractmethod
    def least_level(self) -> float:
        """The least noise level σ, in model units, at which it has a score; 0 is that of the data itself."""

    @abstractmethod
    def score(self, x: Tensor, y: Tensor | None = None, *, level: float | None = None) -> Tensor:
        """∇ log p_σ(x) (B, *shape) at model values x (B, *shape), with labels y (B,) of a conditional model.

        Args:
            x: Where.
            y: Labels of a conditional model.
            level: σ in model units; None takes the least one.

        Raises:
            DataError: x has another shape or type.
            ConfigError: a level that this model does not know, or labels that it does not take.
        """

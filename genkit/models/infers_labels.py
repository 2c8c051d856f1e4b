"""The ability to tell the label of an example by a part of it.

A completion that is told no label draws one from p(y | x_known), then the rest given both, which is a draw from the
mixture of all labels. A model has it by a classifier of its own, or by how likely the part is under each label
(`known_likelihood.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class InfersLabels(ABC):
    """Ability: the probability of each label, given what is known of an example.

    Attributes:
        num_classes: The labels it takes, None for none.
    """

    num_classes: int | None

    @abstractmethod
    def label_log_probs(self, x: Tensor, known: Tensor) -> Tensor:
        """log p(y | x where it is known) of every label, (B, num_classes) float64; of a model that takes labels.

        Args:
            x: Model values (B, *shape); those that are not known are not looked at.
            known: Bool, of x's shape or one that it can be expanded to.
        """

r"""The ability to say how likely the known part of an example is under a label, by which the label is inferred:

.. math:: p(y \mid x_\text{known}) \propto p(x_\text{known} \mid y),

labels being equally likely beforehand.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from genkit.models.infers_labels import InfersLabels


class KnownLikelihood(InfersLabels):
    """Ability: the log-probability of a part of an example under a label."""

    @abstractmethod
    def known_log_prob(self, x: Tensor, known: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x where it is known | y) in nats up to a constant of the example, or a bound on it, (B,) float64.

        Args:
            x: Model values (B, *shape); those that are not known are not looked at.
            known: Bool, of x's shape or one that it can be expanded to.
            y: Labels (B,) of a conditional model.
        """

    def label_log_probs(self, x: Tensor, known: Tensor) -> Tensor:
        labels = torch.arange(self.num_classes or 1, device=x.device)
        each = [self.known_log_prob(x, known, label.expand(len(x))) for label in labels]
        return torch.stack(each, dim=1).log_softmax(1)

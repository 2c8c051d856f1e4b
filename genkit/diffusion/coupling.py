r"""Pairings of noise and examples in training.

Independent pairs make the paths of different examples cross, so that the learned flow bends. Pairing the noise and the
examples of a batch at least total distance straightens it,

.. math:: \min_\pi \sum_i \| x_i - \epsilon_{\pi(i)} \|^2,

and few steps then suffice. Each marginal stays what it was; the noise of a given example does not, so samplers of the
ordinary differential equation hold, while those that add noise and the score they rest on do not.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genkit.component import Component


class NoiseCoupling(Component, ABC):
    """An order of the noise of a batch."""

    @abstractmethod
    def __call__(self, x: Tensor, eps: Tensor, y: Tensor | None) -> Tensor:
        """eps (B, *shape) in the order that x (B, *shape) with the labels y (B,) asks for."""


class IndependentCoupling(NoiseCoupling):
    """The noise as it was drawn."""

    def __call__(self, x: Tensor, eps: Tensor, y: Tensor | None) -> Tensor:
        return eps


class MinibatchOT(NoiseCoupling):
    """The optimal transport plan of the batch; examples of one label exchange noise among themselves only.

    Across labels the noise would come to know the label, and sampling, where it does not, would meet other pairs.

    References: Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport (Tong et al.
        2023, 2302.00482).
    """

    def __call__(self, x: Tensor, eps: Tensor, y: Tensor | None) -> Tensor:
        from scipy.optimize import linear_sum_assignment  # here, since nothing else needs it

        order = torch.arange(len(x))
        groups = torch.zeros(len(x), dtype=torch.int64) if y is None else y.cpu()
        cost = torch.cdist(x.detach().flatten(1), eps.flatten(1)).square().cpu()
        for label in groups.unique():
            members = (groups == label).nonzero()[:, 0]
            _, chosen = linear_sum_assignment(cost[members][:, members].numpy())
            order[members] = members[torch.from_numpy(chosen)]
        return eps[order.to(eps.device)]

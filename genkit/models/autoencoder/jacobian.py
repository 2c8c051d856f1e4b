r"""The squared Frobenius norm of a Jacobian, by reverse mode.

.. math:: \|J\|_F^2 = \sum_j \|\nabla_x f_j(x)\|^2 = E_v \|J^T v\|^2, \qquad E\, v v^T = I

Exact it costs one backward pass per output; the expectation over random signs v is unbiased with any number of draws
(Hutchinson 1990), and its variance is the least among such v.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from genkit.batch_noise import signs_like


def squared_jacobian_norm(output: Tensor, point: Tensor, draws: int | None) -> Tensor:
    """‖∂output/∂point‖_F² of every example, (B,), differentiable once more.

    Args:
        output: (B, *out), each example a function of the same example of `point` alone.
        point: (B, *in), which requires a gradient.
        draws: Random directions to average over; None: exact.
    """
    flat = output.flatten(1)
    probes = list(_axes(flat) if draws is None else _signs(flat, draws))
    norms = [_pulled_back(flat, point, v).square().flatten(1).sum(1) for v in probes]
    return torch.stack(norms).sum(0) / (1 if draws is None else draws)


def _pulled_back(flat: Tensor, point: Tensor, v: Tensor) -> Tensor:
    """Jᵀ v, of the shape of `point`."""
    (gradient,) = torch.autograd.grad(flat, point, v, create_graph=True)
    return gradient


def _axes(flat: Tensor) -> Iterator[Tensor]:
    for axis in torch.eye(flat.shape[1], dtype=flat.dtype, device=flat.device):
        yield axis.expand_as(flat)


def _signs(flat: Tensor, draws: int) -> Iterator[Tensor]:
    for _ in range(draws):
        yield signs_like(flat)

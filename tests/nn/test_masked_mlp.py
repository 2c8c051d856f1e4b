"""The masked network: θ_i reads x_1 … x_{i−1}, all of them, and nothing else."""

import pytest
import torch

from genkit.nn.masked_mlp import MaskedMLP


@pytest.mark.parametrize("octaves", [0, 2])
@pytest.mark.parametrize(("dim", "width"), [(1, 4), (3, 8), (5, 10)])
def test_the_jacobian_of_the_parameters_is_strictly_triangular_and_full(dim: int, width: int, octaves: int) -> None:
    torch.manual_seed(0)
    network = MaskedMLP(dim, 2, None, width, depth=2, octaves=octaves).double()
    jacobian = torch.autograd.functional.jacobian(network, torch.randn(1, dim, dtype=torch.float64))[0, :, :, 0]
    depends = jacobian.abs().amax(1) > 0  # (D, D): θ_i on x_j
    assert torch.equal(depends, torch.ones(dim, dim).tril(-1).bool())


def test_every_parameter_can_read_the_label() -> None:
    torch.manual_seed(0)
    network, x = MaskedMLP(3, 2, 4, 9, depth=1), torch.zeros(1, 3)
    assert ((network(x, torch.tensor([0])) - network(x, torch.tensor([1]))).abs() > 0).all()

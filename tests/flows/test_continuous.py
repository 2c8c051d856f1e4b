"""The continuous flow: closed forms of a linear equation, the order of the integrator, the estimated trace."""

import pytest
import torch
from torch import Tensor

from genkit.flows.continuous import ContinuousFlow, runge_kutta
from genkit.nn.backbone import Backbone
from genkit.noise import generator_of


class Linear(Backbone):
    """v = A h, whose flow is exp(A)."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(matrix)

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return x @ self.matrix.T


def linear_flow(dim: int, **options: object) -> ContinuousFlow:
    matrix = torch.randn(dim, dim, generator=generator_of(0, "matrix"), dtype=torch.float64) * 0.5
    flow = ContinuousFlow(Linear(matrix), dim, **({"steps": 20} | options)).double()  # type: ignore[arg-type]
    torch.nn.init.ones_(flow.gain)
    return flow


def test_a_linear_equation_has_the_matrix_exponential_and_its_determinant() -> None:
    flow, x = linear_flow(4), torch.randn(5, 4, generator=generator_of(1, "x"), dtype=torch.float64)
    z, log_abs_det = flow(x)
    matrix = flow.network.matrix
    torch.testing.assert_close(z, x @ torch.matrix_exp(matrix).T, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_abs_det, matrix.trace().expand(5), rtol=0, atol=1e-9)


def test_halving_the_step_divides_the_error_by_sixteen() -> None:
    ends = [
        runge_kutta(lambda t, s: (s[0] * (1 + t),), (torch.ones(1, dtype=torch.float64),), 0, 1, n)[0] for n in (8, 16)
    ]
    exact = torch.tensor([1.5], dtype=torch.float64).exp()
    coarse, fine = ((end - exact).abs().item() for end in ends)
    assert coarse / fine == pytest.approx(16, rel=0.15)


def test_the_estimated_trace_is_right_on_average_and_fixed_in_evaluation() -> None:
    flow, x = linear_flow(6, exact=False, steps=1), torch.zeros(20000, 6, dtype=torch.float64)
    matrix = flow.network.matrix.detach()
    torch.manual_seed(0)
    drawn = flow.train()(x)[1].detach()
    assert drawn.mean().item() == pytest.approx(matrix.trace().item(), abs=5 * drawn.std().item() / len(x) ** 0.5)
    assert drawn.std() > 0.1
    fixed = flow.eval()(x[:3])[1]
    assert (fixed == fixed[0]).all()
    assert not flow.exact


def test_the_penalty_is_the_mean_squared_velocity_once_and_in_training_alone() -> None:
    flow, x = (
        linear_flow(2, kinetic=0.5, steps=50),
        torch.randn(64, 2, generator=generator_of(1, "x"), dtype=torch.float64),
    )
    flow.train()(x)
    found = flow.penalty()
    matrix, times = flow.network.matrix.detach(), (torch.arange(200) + 0.5) / 200
    speeds = [(x @ torch.matrix_exp(t * matrix).T @ matrix.T).square().sum(1).mean() for t in times]
    assert found is not None
    assert found.item() == pytest.approx(0.5 * torch.stack(speeds).mean().item() / 2, rel=1e-3)
    assert flow.penalty() is None
    flow.eval()(x)
    assert flow.penalty() is None


def test_density_needs_no_gradient_mode() -> None:
    flow, x = linear_flow(3), torch.zeros(2, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(flow(x)[1], flow.network.matrix.trace().expand(2), rtol=0, atol=1e-9)

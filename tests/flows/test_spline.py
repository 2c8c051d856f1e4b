"""The spline: identity at zero, increasing, continuous with its slope across knots and ends, onto its own box."""

import torch
from torch import Tensor

from genkit.flows.spline import RationalQuadratic
from genkit.noise import generator_of

SPLINE = RationalQuadratic(bins=6, bound=1.5)


def on_a_line(x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """g and log g′ of eight random splines at the same points: (8, N) each."""
    theta = scale * torch.randn(1, 8, SPLINE.num_parameters, 1, generator=generator_of(0, "theta"), dtype=torch.float64)
    z, log_slope = SPLINE.forward(x.expand(1, 8, -1), theta.expand(-1, -1, -1, len(x)))
    return z[0], log_slope[0]


def test_zero_parameters_are_the_identity() -> None:
    x = torch.linspace(-3, 3, 101).expand(1, 1, -1)
    z, log_slope = SPLINE.forward(x, torch.zeros(1, 1, SPLINE.num_parameters, 101))
    torch.testing.assert_close(z, x, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-5)


def test_the_box_is_mapped_onto_itself_increasingly() -> None:
    z, _ = on_a_line(torch.linspace(-1.5, 1.5, 20001, dtype=torch.float64), scale=2.0)
    torch.testing.assert_close(z[:, [0, -1]], torch.tensor([[-1.5, 1.5]], dtype=z.dtype).expand(8, -1))
    assert (z.diff() > 0).all()


def test_value_and_slope_are_continuous() -> None:
    x = torch.linspace(-2.0, 2.0, 40001, dtype=torch.float64)  # across every knot and both ends
    z, log_slope = on_a_line(x, scale=0.5)
    assert z.diff().max() < 1e-3
    assert log_slope.diff().abs().max() < 1e-1


def test_the_ends_continue_as_lines() -> None:
    z, log_slope = on_a_line(torch.tensor([1.5, 2.5, 40.0], dtype=torch.float64), scale=1.0)
    torch.testing.assert_close(log_slope, log_slope[:, :1].expand(-1, 3))
    torch.testing.assert_close((z[:, 2] - z[:, 0]) / 38.5, log_slope[:, 0].exp())

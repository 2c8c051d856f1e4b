"""The mixture's map: the identity at the start, one component a line, tails that float32 does not lose, modes."""

import torch

from genkit.flows.mixture import LogisticMixture
from genkit.noise import generator_of

X = torch.linspace(-30, 30, 101)[:, None]


def test_it_is_the_identity_where_its_parameters_are_zero() -> None:
    z, log_slope = LogisticMixture(5, spread=0.0).forward(X, torch.zeros(101, 1, 15))
    torch.testing.assert_close(z, X, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(log_slope, torch.zeros_like(X), rtol=0, atol=1e-5)


def test_one_component_is_an_affine_map() -> None:
    theta = torch.tensor([0.0, 1.5, 0.7]).expand(101, 1, 3)
    z, log_slope = LogisticMixture(1).forward(X, theta)
    scale = 5 * torch.tanh(torch.tensor(0.7 / 5))
    torch.testing.assert_close(z, (X - 1.5) * torch.exp(-scale), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(log_slope, -scale.expand(101, 1), rtol=0, atol=1e-4)


def test_components_start_apart() -> None:
    """With equal parameters, equal gradients would keep them equal for good."""
    theta = torch.zeros(64, 1, 6, requires_grad=True)
    x = torch.randn(64, 1, generator=generator_of(2, "x"))
    LogisticMixture(2, spread=1.0).forward(x, theta)[0].sum().backward()
    assert theta.grad is not None
    means = theta.grad[:, 0, 2:4].sum(0)
    assert (means[0] - means[1]).abs() > 0.1


def test_far_tails_are_finite_and_inverted() -> None:
    theta = torch.randn(3, 1, 12, generator=generator_of(0, "theta"))
    mixture, x = LogisticMixture(4), torch.tensor([[-500.0], [0.0], [500.0]])
    z, log_slope = mixture.forward(x, theta)
    assert torch.isfinite(torch.cat((z, log_slope))).all()
    torch.testing.assert_close(mixture.inverse(z, theta), x, rtol=1e-4, atol=1e-5)


def test_two_narrow_components_are_two_modes() -> None:
    """Pulled back, logistic noise lands at the two means and hardly between them."""
    theta = torch.tensor([0.0, 0.0, -3.0, 3.0, -2.5, -2.5]).expand(1000, 1, 6)
    z = torch.logit(torch.rand(1000, 1, generator=generator_of(1, "u")))
    x = LogisticMixture(2, spread=0.0).inverse(z, theta)
    assert ((x.abs() - 3).abs() < 1).float().mean() > 0.99
    assert abs((x > 0).float().mean() - 0.5) < 0.06

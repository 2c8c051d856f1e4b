"""Linear layers: what data-dependent initialisation promises, and the determinant of a mixing layer."""

import pytest
import torch

from genkit.flows.linear import ActNorm, LULinear
from genkit.noise import generator_of


@pytest.mark.parametrize("shape", [(64, 3), (16, 3, 4, 4)])
def test_actnorm_standardises_the_batch_that_it_is_initialised_with(shape: tuple[int, ...]) -> None:
    x = 5 + 3 * torch.randn(*shape, generator=generator_of(0, "x"))
    layer = ActNorm(3)
    layer.initialise(x)
    z = layer(x)[0].transpose(0, 1).flatten(1)
    torch.testing.assert_close(z.mean(1), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.var(1, correction=0), torch.ones(3), rtol=0, atol=1e-5)
    before = layer.state_dict()["mean"].clone()
    layer(2 * x)
    assert torch.equal(layer.mean, before)


def test_actnorm_is_the_identity_until_it_is_initialised() -> None:
    layer, x = ActNorm(2), torch.full((4, 2), 7.0)
    assert torch.equal(layer.train()(x)[0], x)
    assert torch.equal(layer.eval()(x)[0], x)


def test_actnorm_survives_a_constant_channel() -> None:
    layer, x = ActNorm(2), torch.ones(8, 2)
    layer.initialise(x)
    z, log_abs_det = layer(x)
    assert z.isfinite().all()
    assert log_abs_det.isfinite().all()


def test_lu_linear_may_start_as_an_order_of_the_channels() -> None:
    x = torch.randn(4, 3, 2, generator=generator_of(0, "x"))
    z, log_abs_det = LULinear(3, [2, 0, 1])(x)
    torch.testing.assert_close(z, x[:, [2, 0, 1]])
    assert log_abs_det.abs().max() == 0


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_lu_linear_starts_as_a_rotation(channels: int) -> None:
    layer = LULinear(channels, generator_of(1, "rotation"))
    weight = layer(torch.eye(channels))[0].T
    torch.testing.assert_close(weight @ weight.T, torch.eye(channels), rtol=0, atol=1e-5)
    assert layer(torch.eye(channels))[1].abs().max() < 1e-5

"""Units and divergences against their closed forms."""

from math import log, log2

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genkit.distributions import bits_per_dim, normal_kl, normal_log_prob, truncated_normal
from genkit.noise import generator_of


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (-3.0, 14.0)])
@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("dim", [1, 64, 784])
def test_a_uniform_model_needs_log2_levels_bits(dim, levels, value_range):
    nll = dim * log(value_range[1] - value_range[0])
    assert bits_per_dim(nll, dim, levels, value_range) == pytest.approx(log2(levels))


def test_one_bit_is_ln_2_nats_per_dimension():
    nll = torch.tensor([0.0, 10 * log(2), -20 * log(2)], dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(nll, 10, 2, (0.0, 2.0)), torch.tensor([0.0, 1.0, -2.0]).double())


def moments(n: int = 6, dim: int = 3):
    g = generator_of(0, "moments")
    return (torch.randn(2, n, dim, generator=g, dtype=torch.float64)).unbind()


def test_log_prob_is_torchs():
    mean, log_var = moments()
    z = torch.randn(4, *mean.shape, generator=generator_of(0, "z"), dtype=torch.float64)
    torch.testing.assert_close(normal_log_prob(z, mean, log_var), Normal(mean, (log_var / 2).exp()).log_prob(z))


def test_kl_is_torchs():
    mean, log_var = moments()
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(normal_kl(mean, log_var), expected)


def test_kl_is_the_mean_log_ratio_of_draws():
    mean, log_var = moments()
    eps = torch.randn(100_000, *mean.shape, generator=generator_of(0, "kl"), dtype=torch.float64)
    q = Normal(mean, (log_var / 2).exp())
    z = q.mean + q.stddev * eps
    ratio = q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    error = ratio.std(0) / len(eps) ** 0.5
    assert ((ratio.mean(0) - normal_kl(mean, log_var)).abs() < 5 * error).all()


def test_kl_vanishes_at_the_prior_alone():
    mean, log_var = moments()
    assert (normal_kl(mean, log_var) > 0).all()
    at_prior = torch.zeros(2, 1, 3, requires_grad=True)
    value = normal_kl(*at_prior)
    value.sum().backward()
    assert value.abs().max() == 0
    assert at_prior.grad is not None
    assert at_prior.grad.abs().max() == 0


@pytest.mark.parametrize("bound", [0.05, 0.7, 2.0, 6.0])
def test_a_truncated_normal_has_its_quantiles_inside_its_bound(bound):
    eps = Normal(0.0, 1.0).icdf(torch.linspace(0.001, 0.999, 999, dtype=torch.float64))
    z, phi = truncated_normal(eps, bound), Normal(0.0, 1.0).cdf
    low, high = phi(torch.tensor([-bound, bound]).double())
    torch.testing.assert_close((phi(z) - low) / (high - low), phi(eps))
    assert z.abs().max() < bound
    torch.testing.assert_close(z, -z.flip(0))


def test_a_truncated_normal_far_out_is_the_normal_itself_and_keeps_its_tail():
    eps = torch.tensor([-30.0, -9.0, -0.0, 1e-6, 0.5, 9.0, 30.0])
    assert truncated_normal(eps, 1.5).abs().max() <= 1.5
    assert truncated_normal(eps, 1.5).isfinite().all()
    torch.testing.assert_close(truncated_normal(eps, 38.0)[1:-1], eps[1:-1])
    assert truncated_normal(eps, 1.5).dtype == eps.dtype

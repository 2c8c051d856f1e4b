"""Priors: densities against torch's mixtures, closed forms against draws, pseudo-inputs that start as data."""

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from genkit.models.vae.prior import NormalMixture, StandardNormal, VampPrior
from genkit.models.vae.vae import VAE
from genkit.noise import generator_of

D = 3


def mixture(components: int) -> NormalMixture:
    g = generator_of(0, "mixture", components)
    return NormalMixture(*torch.randn(2, components, D, generator=g, dtype=torch.float64).unbind())


def torchs(p: NormalMixture) -> MixtureSameFamily:
    each = Independent(Normal(p.means, (p.log_vars / 2).exp()), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(p.means)).double()), each)


def posterior(batch: int = 6) -> tuple[Tensor, Tensor]:
    return torch.randn(2, batch, D, generator=generator_of(0, "posterior"), dtype=torch.float64).unbind()


@pytest.mark.parametrize("components", [1, 4])
def test_the_density_is_torchs(components):
    p = mixture(components)
    z = torch.randn(5, 7, D, generator=generator_of(0, "z"), dtype=torch.float64)
    torch.testing.assert_close(p.log_prob(z), torchs(p).log_prob(z))


def test_the_kl_of_one_component_is_torchs_per_dimension():
    p, (mean, log_var) = mixture(1), posterior()
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(p.means, (p.log_vars / 2).exp()))
    torch.testing.assert_close(p.kl(mean, log_var, mean[None]), expected)


@pytest.mark.parametrize("components", [1, 4])
def test_the_kl_is_the_mean_log_ratio_of_draws(components):
    p, (mean, log_var) = mixture(components), posterior()
    q = Normal(mean, (log_var / 2).exp())
    z = q.mean + q.stddev * torch.randn(20_000, *mean.shape, generator=generator_of(0, "kl"), dtype=torch.float64)
    ratio = q.log_prob(z).sum(2) - torchs(p).log_prob(z)
    error = 5 * ratio.std(0) / len(z) ** 0.5
    assert ((p.kl(mean, log_var, z).sum(1) - ratio.mean(0)).abs() < error).all()


@pytest.mark.parametrize("components", [1, 4])
def test_draws_have_the_mixtures_moments(components):
    p, n, g = mixture(components), 40_000, generator_of(0, "draw")
    z = p.draw(torch.rand(n, generator=g), torch.randn(n, D, generator=g, dtype=torch.float64))
    torch.testing.assert_close(z.mean(0), torchs(p).mean, rtol=0, atol=0.05)
    torch.testing.assert_close(z.var(0), torchs(p).variance, rtol=0.05, atol=0.05)


def test_a_uniform_number_of_one_stays_inside():
    p = mixture(4)
    torch.testing.assert_close(p.draw(torch.ones(1), torch.zeros(1, D).double())[0], p.means[3])


def test_the_standard_normal_is_it():
    prior = StandardNormal(spec=PLANE, latent_dim=D, num_classes=None)
    z = torch.randn(5, D, generator=generator_of(0, "z"))
    at = prior.mixture(lambda x, y: (x, x)).log_prob(z)
    torch.testing.assert_close(at, Normal(0.0, 1.0).log_prob(z).sum(1))
    assert not list(prior.parameters())


@pytest.mark.parametrize("conditional", [False, True])
def test_pseudo_inputs_start_as_training_data(conditional):
    def factory(**given):
        return VampPrior(components=7, jitter=0.0, **given)

    vae = VAE(spec=DIGITS, latent_dim=D, backbone=Affine, prior=factory, conditional=conditional)
    g = generator_of(0, "images")
    x, y = torch.randn(5, *DIGITS.shape, generator=g), torch.tensor([3, 1, 4, 1, 5])
    vae.initialise({"x": x, "y": y})
    row = [0, 1, 2, 3, 4, 0, 1]
    assert torch.equal(vae.prior.pseudo_inputs, x[row])
    assert (vae.prior.labels is None) == (not conditional)
    means, log_vars = vae.posterior(x[row], y[row] if conditional else None)
    p = vae.prior.mixture(vae.posterior)
    torch.testing.assert_close((p.means, p.log_vars), (means, log_vars))


def test_pseudo_inputs_and_encoder_both_learn_from_the_prior():
    vae = VAE(spec=PLANE, latent_dim=D, backbone=Affine, prior=lambda **given: VampPrior(components=4, **given))
    z = torch.randn(9, D, generator=generator_of(0, "z"))
    vae.prior.mixture(vae.posterior).log_prob(z).sum().backward()
    for parameter in (vae.prior.pseudo_inputs, *vae.encoder.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0

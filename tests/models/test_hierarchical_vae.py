r"""Hierarchical VAEs: a ladder whose every quantity is known, and a ladder of one level beside the plain VAE.

With scalars z_2 ~ N(0, 1), z_1 = a z_2 + s ε and x = w z_1 + μ + σ ε' all posteriors are normal and linear,

.. math::

    x \sim N(\mu, (a^2 + s^2) w w^T + \sigma^2), \quad
    z_1 | z_2, x \sim N(c\,(a z_2 / s^2 + w^T(x - \mu) / \sigma^2), c), \quad c^{-1} = s^{-2} + |w|^2 / \sigma^2,

so the inference network can be the posterior, and every draw of the bound is log p(x) itself.
"""

import math

import pytest
import torch
from model_cases import DIGITS, Affine
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.codes import Codes, CodesLatent
from genkit.models.vae.aggregate_posterior import InfoVAE, TotalCorrelation
from genkit.models.vae.hierarchical_vae import HierarchicalVAE
from genkit.models.vae.objective import ELBO, Capacity, ImportanceWeighted
from genkit.models.vae.vae import VAE
from genkit.noise import SampleNoise, generator_of

D, A, S, SIGMA = 5, 1.4, 0.7, 0.6
VECTORS = DataSpec(shape=(D,), modality="vector")


def truth() -> tuple[Tensor, Tensor]:
    """w (D,), μ (D,)."""
    g = generator_of(0, "ladder")
    return (torch.randn(D, generator=g, dtype=torch.float64) for _ in range(2))


def exact() -> MultivariateNormal:
    w, mean = truth()
    return MultivariateNormal(mean, (A**2 + S**2) * torch.outer(w, w) + SIGMA**2 * torch.eye(D, dtype=torch.float64))


def data(n: int = 50) -> Tensor:
    return 2 * torch.randn(n, D, generator=generator_of(0, "data"), dtype=torch.float64)


@torch.no_grad()
def optimal(**options) -> HierarchicalVAE:
    """State (z_2, z_1), features (wᵀ(x − μ), 0)."""
    w, mean = truth()
    vae = HierarchicalVAE(spec=VECTORS, latent_dims=(1, 1), backbone=Affine, width=2, **options).double().eval()
    for parameter in vae.ladder.parameters():
        parameter.zero_()  # residual layers are then the identity
    near, top = vae.ladder.levels
    vae.encoder.set(torch.stack((w, torch.zeros_like(w))), torch.stack((-w @ mean, torch.zeros_like(mean[0]))))
    vae.decoder.set(torch.stack((torch.zeros_like(w), w), 1), mean)
    vae.likelihood.log_std.fill_(math.log(SIGMA))
    top.enter.weight[0, 0] = near.enter.weight[1, 0] = 1.0
    near.prior.weight[0, 0], near.prior.bias[1] = A, 2 * math.log(S)
    load = A / (SIGMA**2 + (A**2 + S**2) * w @ w)  # Sherman–Morrison: E z_2 = load wᵀ(x − μ)
    top.posterior.weight[0, 0], top.posterior.bias[1] = load, torch.log(1 - A * load * w @ w)
    c = 1 / (S**-2 + w @ w / SIGMA**2)
    near.posterior.weight[0, 0] = c / SIGMA**2 / S  # of features: in units of the prior's deviation
    near.posterior.weight[0, 2] = (c / S**2 - 1) * A / S  # of z_2
    near.posterior.bias[1] = torch.log(c / S**2)
    return vae


@torch.no_grad()
@pytest.mark.parametrize("k", [1, 3])
def test_at_the_optimum_every_bound_is_the_log_likelihood(k):
    x = data()
    for bound in (optimal(elbo_draws=k).log_prob(x), optimal().importance_log_prob(x, k=k)):
        torch.testing.assert_close(bound, exact().log_prob(x))


@torch.no_grad()
def moved() -> HierarchicalVAE:
    """The optimum with another posterior at both levels."""
    vae = optimal()
    for level in vae.ladder.levels:
        level.posterior.bias += torch.tensor([0.4, -0.3])
    return vae


@torch.no_grad()
def test_the_bounds_are_ordered_elbo_iwae_exact():
    vae, x = moved(), exact().sample((1000,))
    bounds = torch.stack([vae.importance_log_prob(x, k=k).mean() for k in (1, 5, 50)])
    assert (bounds.diff() > 0).all()
    assert bounds[-1] < exact().log_prob(x).mean()


@torch.no_grad()
def test_the_kl_of_the_levels_sums_to_the_whole_and_is_that_of_two_normals():
    vae, x = moved(), data(7)
    terms = vae.losses({"x": x}, "model")
    assert terms["kl_1"] > 0 < terms["kl_2"]
    torch.testing.assert_close(terms["kl_1"] + terms["kl_2"], terms["kl"])
    torch.testing.assert_close(terms["reconstruction"] + terms["kl"], terms["loss"])
    walk = vae.ladder.walk(torch.zeros(7, 2).double(), vae.ladder.features(vae.encoder(x)), None)
    q, p = (Normal(m.mean, (m.log_var / 2).exp()) for m in (walk.posterior, walk.prior))
    torch.testing.assert_close(terms["kl_2"], kl_divergence(q, p)[:, 0].mean())  # of the top it depends on no draw


@torch.no_grad()
def test_its_loss_is_minus_the_bound():
    vae, x = moved(), data(20)
    torch.manual_seed(0)
    losses = torch.stack([vae.losses({"x": x}, "model")["loss"] for _ in range(300)])
    bound = vae.log_weights(x, None, 500).mean()
    assert (losses.mean() + bound).abs() < 5 * losses.std() / len(losses) ** 0.5


@torch.no_grad()
def test_samples_have_the_models_mean_and_covariance():
    x = optimal().float().sample(20_000, noise=SampleNoise(0, range(20_000))).double()
    torch.testing.assert_close(x.mean(0), exact().mean, rtol=0, atol=0.06)
    torch.testing.assert_close(torch.cov(x.T), exact().covariance_matrix, rtol=0.05, atol=0.12)


@torch.no_grad()
def test_a_ladder_of_one_level_is_the_plain_vae():
    """The same linear maps: the same bound of each example by the same draws, and the same samples."""
    torch.manual_seed(0)
    plain = VAE(spec=DIGITS, latent_dim=3, backbone=Affine).eval()
    one = HierarchicalVAE(spec=DIGITS, latent_dims=(3,), backbone=Affine, width=6).eval()
    for parameter in one.ladder.parameters():
        parameter.zero_()
    level = one.ladder.levels[0]
    level.posterior.weight[:, :6], level.enter.weight[:3] = torch.eye(6), torch.eye(3)
    one.encoder.set(plain.encoder.linear.weight, plain.encoder.linear.bias)
    one.decoder.set(torch.cat((plain.decoder.linear.weight, torch.randn(64, 3)), 1), plain.decoder.linear.bias)
    x = DIGITS.scale(torch.randint(17, (6, 1, 8, 8)))
    torch.testing.assert_close(one.log_prob(x), plain.log_prob(x))
    torch.testing.assert_close(one.importance_log_prob(x, k=4), plain.importance_log_prob(x, k=4))
    torch.testing.assert_close(one.encode(x), plain.encode(x))
    torch.testing.assert_close(one.reconstruct(x), plain.reconstruct(x))
    noise = SampleNoise(0, range(5))
    torch.testing.assert_close(one.sample(5, noise=noise), plain.decode(SampleNoise(0, range(5))(3)))


@torch.no_grad()
def test_its_latents_are_coordinates_of_the_priors():
    """Decoding what was encoded is reconstructing, and a posterior that is the prior is at the origin."""
    torch.manual_seed(0)
    vae = HierarchicalVAE(spec=DIGITS, latent_dims=(4, 3, 2), backbone=Affine, width=8).eval()
    x = DIGITS.scale(torch.randint(17, (6, 1, 8, 8)))
    for level in vae.ladder.levels[:2]:
        torch.nn.init.normal_(level.prior.weight, std=0.3)
    assert vae.encode(x).abs().max() > 0.1
    torch.testing.assert_close(vae.decode(vae.encode(x)), vae.reconstruct(x))
    for level in vae.ladder.levels:
        level.posterior.weight.zero_()
        level.posterior.bias.zero_()
    assert (vae.encode(x) == 0).all()
    assert vae.losses({"x": x}, "model")["kl"] == 0


def test_every_level_has_a_gradient_through_those_below():
    torch.manual_seed(0)
    vae = HierarchicalVAE(spec=DIGITS, latent_dims=(4, 3, 2), backbone=Affine, width=8)
    for level in vae.ladder.levels:
        torch.nn.init.normal_(level.posterior.weight, std=0.1)
    eps = torch.randn(6, 9, requires_grad=True)
    vae.ladder.walk(eps, None, None).state.sum().backward()
    assert (eps.grad.abs().sum(0) > 0).all()


def test_what_a_ladder_cannot_is_refused():
    for objective in (InfoVAE(), TotalCorrelation(), ImportanceWeighted(k=5, kept=1)):
        with pytest.raises(ConfigError, match=r"^model\.objective[^\n]*model=vae: take"):
            HierarchicalVAE(spec=DIGITS, objective=objective, backbone=Affine)
    for objective in (ELBO(), Capacity(), ImportanceWeighted(k=5)):
        HierarchicalVAE(spec=DIGITS, objective=objective, backbone=Affine)
    with pytest.raises(ConfigError, match=r"^model\.latent_dims=\[\]"):
        HierarchicalVAE(spec=DIGITS, latent_dims=(), backbone=Affine)
    assert not issubclass(HierarchicalVAE, Codes | CodesLatent)  # bits-back takes one latent of a fixed prior

"""The VAE whose every quantity is known: linear encoder and decoder with Gaussian noise (probabilistic PCA).

With x = W z + μ + σ ε, W = U (Λ − σ²)^½, the posterior N(M⁻¹Wᵀ(x − μ), σ² M⁻¹), M = WᵀW + σ², is diagonal, so the
encoder can be it, and the bound is then log N(x; μ, WWᵀ + σ²) itself (Tipping & Bishop 1999).
"""

import math

import pytest
import torch
from model_cases import DIGITS, PLANE, Affine
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.likelihood import Gaussian
from genkit.models.vae import VAE
from genkit.noise import SampleNoise, generator_of

D, K, SIGMA = 5, 2, 0.6
VECTORS = DataSpec(shape=(D,), modality="vector")


def truth() -> tuple[Tensor, Tensor]:
    """W (D, K) with orthogonal columns, μ (D,)."""
    g = generator_of(0, "ppca")
    U, _ = torch.linalg.qr(torch.randn(D, K, generator=g, dtype=torch.float64))
    return U * torch.tensor([1.7, 0.8], dtype=torch.float64), torch.randn(D, generator=g, dtype=torch.float64)


def optimal(elbo_draws: int = 16, **options) -> VAE:
    W, mean = truth()
    vae = VAE(spec=VECTORS, latent_dim=K, backbone=Affine, elbo_draws=elbo_draws, **options).double()
    M = W.T @ W + SIGMA**2 * torch.eye(K, dtype=torch.float64)
    to_mean = torch.linalg.solve(M, W.T)
    log_var = (SIGMA**2 / M.diagonal()).log()
    vae.encoder.set(torch.cat((to_mean, torch.zeros(K, D))), torch.cat((-to_mean @ mean, log_var)))
    vae.decoder.set(W, mean)
    with torch.no_grad():
        vae.likelihood.log_std.fill_(math.log(SIGMA))
    return vae.eval()


def exact() -> MultivariateNormal:
    W, mean = truth()
    return MultivariateNormal(mean, W @ W.T + SIGMA**2 * torch.eye(D, dtype=torch.float64))


def data(n: int = 200) -> Tensor:
    return 2 * torch.randn(n, D, generator=generator_of(0, "data"), dtype=torch.float64)


@torch.no_grad()
def test_at_the_optimum_the_bound_is_the_log_likelihood():
    x = data()
    gap = optimal(elbo_draws=2000).log_prob(x) - exact().log_prob(x)
    # antithetic draws leave a constant: their second moment against 1
    assert gap.std() < 1e-9
    assert gap.abs().max() < 0.05


@torch.no_grad()
@pytest.mark.parametrize(("shift", "stretch"), [(0.5, 0.0), (0.0, 0.7), (0.0, -0.7), (-0.3, 0.4)])
def test_away_from_it_the_bound_is_lower_by_the_kl_to_the_posterior(shift, stretch):
    vae, x = optimal(elbo_draws=2000), data()
    posterior = Normal(vae.encode(x), (vae.posterior(x)[1] / 2).exp())
    constant = (vae.log_prob(x) - exact().log_prob(x)).mean()
    vae.encoder.linear.bias += torch.tensor([shift, shift, stretch, stretch])
    q = Normal(vae.encode(x), (vae.posterior(x)[1] / 2).exp())
    gap = vae.log_prob(x) - exact().log_prob(x)
    assert (gap < -0.01).all()
    torch.testing.assert_close(gap, -kl_divergence(q, posterior).sum(1) + constant, rtol=0.1, atol=0.01)


@torch.no_grad()
def test_the_default_draws_keep_the_bound_below_the_likelihood_of_data():
    vae, x = optimal(), exact().sample((2000,))
    vae.encoder.linear.bias += 0.3
    assert vae.log_prob(x).mean() < exact().log_prob(x).mean()


@torch.no_grad()
def test_log_prob_is_a_function_of_x():
    vae, x = optimal(), data(9)
    whole = vae.log_prob(x)
    torch.manual_seed(5)
    assert torch.equal(vae.log_prob(x), whole)
    torch.testing.assert_close(torch.cat([vae.log_prob(row[None]) for row in x]), whole)


@pytest.mark.parametrize("elbo_draws", [1, 2, 5, 16])
def test_draws_are_as_many_as_asked_in_antithetic_pairs(elbo_draws):
    eps = torch.stack(list(optimal(elbo_draws=elbo_draws)._fixed_draws(data(1))))
    assert eps.shape == (elbo_draws, K)
    if elbo_draws % 2 == 0:
        torch.testing.assert_close(eps.sum(0), torch.zeros(K).double())


@torch.no_grad()
def test_the_loss_is_minus_the_bound():
    vae, x = optimal(elbo_draws=2000), data(20)
    torch.manual_seed(0)
    losses = [vae.losses({"x": x}, "model")["loss"] for _ in range(2000)]
    assert torch.stack(losses).mean().item() == pytest.approx(-vae.log_prob(x).mean().item(), abs=0.05)


@torch.no_grad()
def test_samples_have_the_models_mean_and_covariance():
    x = optimal().float().sample(20_000, noise=SampleNoise(0, range(20_000))).double()
    torch.testing.assert_close(x.mean(0), exact().mean, rtol=0, atol=0.06)
    torch.testing.assert_close(torch.cov(x.T), exact().covariance_matrix, rtol=0, atol=0.12)


@pytest.mark.parametrize(
    ("training", "kl_warmup", "progress", "share"),
    [
        (True, 0.1, 0.0, 0.0),
        (True, 0.1, 0.05, 0.5),
        (True, 0.1, 0.1, 1.0),
        (True, 0.1, 1.0, 1.0),
        (True, 1.0, 0.3, 0.3),
        (True, 0.0, 0.0, 1.0),
        (False, 0.1, 0.0, 1.0),
    ],
)
@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_kl_rises_to_beta(training, kl_warmup, progress, share, beta):
    vae = optimal(beta=beta, kl_warmup=kl_warmup).train(training)
    vae.progress = progress
    terms = vae.losses({"x": data(7)}, "model")
    assert terms["kl"] > 0
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + share * beta * terms["kl"])


@pytest.mark.parametrize("spec", [PLANE, DIGITS], ids=["plane", "digits"])
def test_the_label_enters_encoder_and_decoder(spec):
    torch.manual_seed(0)
    vae = VAE(spec=spec, latent_dim=3, backbone=Affine, conditional=True)
    x, a, b = torch.zeros(2, *spec.shape), torch.tensor([0, 1]), torch.tensor([1, 2])
    for method in (vae.log_prob, vae.encode, vae.reconstruct):
        assert ((method(x, a) - method(x, b)).reshape(2, -1).abs().amax(1) > 1e-4).all()
    z = torch.zeros(2, 3)
    assert ((vae.decode(z, a) - vae.decode(z, b)).reshape(2, -1).abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize("draw_pixels", [False, True])
@pytest.mark.parametrize("likelihood", [None, Gaussian])
def test_everything_it_makes_is_inside_the_datas_range(draw_pixels, likelihood):
    torch.manual_seed(0)
    vae = VAE(spec=DIGITS, latent_dim=3, backbone=Affine, draw_pixels=draw_pixels, likelihood=likelihood)
    with torch.no_grad():
        vae.decoder.linear.bias.copy_(5 * torch.randn(64))
    for x in (vae.sample(4, noise=SampleNoise(0, range(4))), vae.decode(torch.zeros(4, 3))):
        assert x.abs().max() <= 1


def test_drawn_pixels_scatter_and_means_do_not():
    a, b = (VAE(spec=DIGITS, latent_dim=3, backbone=Affine, draw_pixels=drawn) for drawn in (True, False))
    a.load_state_dict(b.state_dict())
    drawn, mean = (vae.sample(2, noise=SampleNoise(0, range(2))) for vae in (a, b))
    assert (drawn - mean).abs().mean() > 0.05
    torch.testing.assert_close(mean, b.decode(SampleNoise(0, range(2))(3)))


def test_labels_are_refused_where_the_data_has_none():
    with pytest.raises(ConfigError, match="no labels"):
        VAE(spec=VECTORS, conditional=True)

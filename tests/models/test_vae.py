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
from genkit.models.latent_density import GaussianDensity as LatentGaussian
from genkit.models.likelihood import Gaussian
from genkit.models.vae.objective import ELBO, VariationalObjective
from genkit.models.vae.vae import BLOCK, VAE, active_units, fixed_draws
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


def moved(shift: float = 0.5, stretch: float = -0.3, **options) -> VAE:
    """The optimum with another posterior."""
    vae = optimal(**options)
    with torch.no_grad():
        vae.encoder.linear.bias += torch.tensor([shift, shift, stretch, stretch])
    return vae


@torch.no_grad()
@pytest.mark.parametrize("k", [1, 3])
def test_at_the_optimum_every_bound_is_the_log_likelihood(k):
    x = data()
    for bound in (optimal(elbo_draws=k).log_prob(x), optimal().importance_log_prob(x, k=k)):
        torch.testing.assert_close(bound, exact().log_prob(x))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(("shift", "stretch"), [(0.5, 0.0), (0.0, 0.7), (0.0, -0.7), (-0.3, 0.4)])
def test_away_from_it_the_elbo_is_lower_by_the_kl_to_the_posterior(shift, stretch):
    vae, best, x, n = moved(shift, stretch, elbo_draws=4000), optimal(), data(20), 4000
    q, p = (Normal(mean, (log_var / 2).exp()) for mean, log_var in (vae.posterior(x), best.posterior(x)))
    gap, spread = vae.log_prob(x) - exact().log_prob(x), vae.log_weights(x, None, 500).std(0)
    assert ((gap + kl_divergence(q, p).sum(1)).abs() < 5 * spread / n**0.5).all()


@torch.no_grad()
def test_the_bounds_are_ordered_elbo_iwae_exact():
    torch.manual_seed(0)
    vae, x = moved(), exact().sample((2000,))
    bounds = torch.stack([vae.importance_log_prob(x, k=k).mean() for k in (1, 2, 5, 20, 100)])
    assert torch.equal(vae.importance_log_prob(x, k=1), moved(elbo_draws=1).log_prob(x))
    assert (bounds.diff() > 0).all()
    assert bounds[-1] < exact().log_prob(x).mean()
    assert exact().log_prob(x).mean() - bounds[-1] < 0.2 * (exact().log_prob(x).mean() - bounds[0])


@torch.no_grad()
def test_of_the_same_draws_the_iwae_is_never_below_the_elbo():
    vae, x = moved(elbo_draws=7), data()
    assert (vae.importance_log_prob(x, k=7) >= vae.log_prob(x)).all()


@torch.no_grad()
def test_bounds_are_functions_of_x():
    vae, x = moved(), data(9)
    whole = vae.log_prob(x)
    torch.manual_seed(5)
    assert torch.equal(vae.log_prob(x), whole)
    torch.testing.assert_close(torch.cat([vae.log_prob(row[None]) for row in x]), whole)
    assert (vae.log_prob(x + 1e-6) != whole).all()


def test_draws_are_each_examples_own_and_more_of_them_begin_with_the_same():
    x = data(500)
    few, many = (torch.stack(list(fixed_draws(x, k, K))) for k in (BLOCK + 3, 3 * BLOCK))
    assert few.shape == (BLOCK + 3, 500, K)
    torch.testing.assert_close(few, many[: BLOCK + 3])
    for dim in (0, 1):
        assert many.mean(dim).std() == pytest.approx(many.shape[dim] ** -0.5, rel=0.15)
    assert many.std() == pytest.approx(1, abs=0.02)


@torch.no_grad()
def test_every_point_of_a_bin_has_the_bins_bound():
    torch.manual_seed(0)
    for levels in (2, 17):
        spec = DataSpec(shape=(1, 4, 4), modality="image", value_range=(-1.0, 1.0), levels=levels)
        vae = VAE(spec=spec, latent_dim=3, backbone=Affine).eval()
        x = spec.scale(torch.randint(levels, (5, 1, 4, 4)))
        assert torch.equal(vae.log_prob(spec.dequantise(x, 0.99 * torch.rand_like(x))), vae.log_prob(x))


@torch.no_grad()
def test_the_loss_is_minus_the_bound():
    vae, x = moved(), data(20)
    torch.manual_seed(0)
    losses = torch.stack([vae.losses({"x": x}, "model")["loss"] for _ in range(500)])
    bound = vae.log_weights(x, None, 1000).mean()
    assert (losses.mean() + bound).abs() < 5 * losses.std() / len(losses) ** 0.5


@torch.no_grad()
def test_samples_have_the_models_mean_and_covariance():
    x = optimal().float().sample(20_000, noise=SampleNoise(0, range(20_000))).double()
    torch.testing.assert_close(x.mean(0), exact().mean, rtol=0, atol=0.06)
    torch.testing.assert_close(torch.cov(x.T), exact().covariance_matrix, rtol=0, atol=0.12)


class Heard(VariationalObjective):
    """Remembers what it was told."""

    def draws(self, progress):
        return 3

    def losses(self, drawn, progress):
        self.drawn, self.progress = drawn, progress
        return {"loss": drawn.log_weights.mean()}


@pytest.mark.parametrize("training", [True, False])
def test_the_objective_hears_the_progress_of_training_alone(training):
    heard = Heard()
    vae = optimal(objective=heard).train(training)
    vae.progress = 0.25
    terms = vae.losses({"x": data(7)}, "model")
    assert heard.progress == (0.25 if training else 1.0)
    assert heard.drawn.z.shape == (3, 7, K)
    assert heard.drawn.z.std(0).min() > 0
    assert ("active_units" in terms) == (not training)


@pytest.mark.parametrize(("objective", "needs"), [(None, True), (ELBO(kl_warmup=0.0), False)])
def test_a_warm_up_needs_the_horizon(objective, needs):
    assert optimal(objective=objective).needs_horizon == needs


def test_a_unit_is_active_where_its_mean_moves_with_x():
    mean = torch.tensor([[0.0, 1.0, 5.0], [0.19, 1.3, 5.0]])  # standard deviations 0.095, 0.15 and 0
    assert active_units(mean).item() == 1
    assert active_units(mean[:1]).item() == 0


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


def test_a_latent_density_is_fitted_to_draws_of_the_posterior_and_sampled_from():
    vae = optimal(latent_density=LatentGaussian)
    torch.manual_seed(0)
    x = exact().sample((1000,)) + 3.0  # data that the prior knows nothing of
    bound = vae.log_prob(x)
    vae.prepare([{"x": row} for row in x.split(300)])
    mean, log_var = vae.posterior(x)
    covariance = torch.cov(mean.T) + torch.diag(log_var.exp().mean(0))
    torch.testing.assert_close(vae.latent_density.mean, mean.mean(0), rtol=0, atol=0.1)
    factor = vae.latent_density.factor
    torch.testing.assert_close(factor @ factor.T, covariance, rtol=0.1, atol=0.05)
    drawn = vae.float().sample(4000, noise=SampleNoise(0, range(4000))).double()
    torch.testing.assert_close(drawn.mean(0), vae.double().decode(mean).mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(vae.log_prob(x), bound, rtol=1e-4, atol=1e-3)


def test_binary_samples_are_drawn_at_the_bin_centres():
    torch.manual_seed(0)
    spec = DataSpec(shape=(1, 8, 8), modality="image", value_range=(-1.0, 1.0), levels=2)
    drawn, mean = (
        VAE(spec=spec, latent_dim=3, backbone=Affine, draw_pixels=drawn).sample(4, noise=SampleNoise(0, range(4)))
        for drawn in (True, False)
    )
    assert set(drawn.unique().tolist()) == {-0.5, 0.5}
    assert -0.5 < mean.min() < mean.max() < 0.5


def test_labels_are_refused_where_the_data_has_none():
    with pytest.raises(ConfigError, match="no labels"):
        VAE(spec=VECTORS, conditional=True)

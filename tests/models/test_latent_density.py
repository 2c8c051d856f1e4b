"""Densities of latents: they recover what made the data and draw what they recovered, as functions of the noise."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genkit.models import latent_density
from genkit.models.kernel_density import FixedBandwidth, KernelDensity
from genkit.models.latent_density import MOST_ITERATIONS, GaussianDensity, GaussianMixture, affordable_iterations
from genkit.noise import SampleNoise, generator_of

MEANS = torch.tensor([[-3.0, 0.0], [3.0, 1.0], [0.0, 4.0]])
STDS, COUNTS = torch.tensor([0.3, 0.6, 0.45]), [1500, 900, 600]


def clusters() -> Tensor:
    g = generator_of(0, "clusters")
    parts = [m + s * torch.randn(n, 2, generator=g) for m, s, n in zip(MEANS, STDS, COUNTS, strict=True)]
    return torch.cat(parts)[torch.randperm(sum(COUNTS), generator=g)]


def fitted(z: Tensor, components: int, regularization: float = 1e-6) -> GaussianMixture:
    mixture = GaussianMixture(latent_dim=z.shape[1], components=components, regularization=regularization)
    mixture.fit(z)
    return mixture


def density(mixture: GaussianMixture) -> MixtureSameFamily:
    used = mixture.weights > 0
    parts = MultivariateNormal(mixture.means[used], scale_tril=mixture.factors[used])
    return MixtureSameFamily(Categorical(probs=mixture.weights[used]), parts)


def test_known_clusters_are_recovered():
    z = clusters()
    mixture = fitted(z, 3)
    order = torch.cdist(MEANS, mixture.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(mixture.means[order], MEANS, rtol=0, atol=0.08)
    torch.testing.assert_close(mixture.weights[order], torch.tensor(COUNTS) / sum(COUNTS), rtol=0, atol=0.01)
    expected = STDS[:, None, None] * torch.eye(2)
    torch.testing.assert_close(mixture.factors[order], expected, rtol=0, atol=0.05)
    truth = MixtureSameFamily(
        Categorical(torch.tensor(COUNTS) / sum(COUNTS)), MultivariateNormal(MEANS, scale_tril=expected)
    )
    gain = density(mixture).log_prob(z).mean() - truth.log_prob(z).mean()
    assert 0 <= gain < 0.01  # the fit may only be likelier on its own data


@pytest.mark.filterwarnings("error")
def test_one_iteration_from_k_means_recovers_most_where_more_would_take_hours(monkeypatch):
    assert affordable_iterations(55_000, 12, 200) == MOST_ITERATIONS
    assert affordable_iterations(4_500, 256, 10) == MOST_ITERATIONS
    assert 1 <= affordable_iterations(45_000, 256, 100) < 3
    z = clusters()
    whole = density(fitted(z, 3)).log_prob(z).mean()
    monkeypatch.setattr(latent_density, "WORK", 1.0)
    assert affordable_iterations(*z.shape, 3) == 1
    assert density(fitted(z, 3)).log_prob(z).mean() > whole - 0.02


def test_one_component_is_the_mean_and_covariance():
    z = clusters()
    mixture = fitted(z, 1)
    torch.testing.assert_close(mixture.means[0], z.mean(0), rtol=0, atol=1e-5)
    covariance = mixture.factors[0] @ mixture.factors[0].T
    torch.testing.assert_close(covariance, torch.cov(z.T, correction=0), rtol=1e-5, atol=1e-4)


def test_the_fit_is_a_function_of_the_latents():
    a, b = fitted(clusters(), 4), fitted(clusters(), 4)
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def test_regularization_stands_on_the_diagonal():
    flat = torch.randn(100, 2, generator=generator_of(0, "flat")) * torch.tensor([1.0, 0.0])
    mixture = fitted(flat, 1, regularization=0.04)
    assert (mixture.factors[0] @ mixture.factors[0].T)[1, 1].item() == pytest.approx(0.04, rel=1e-4)


@pytest.mark.parametrize("components", [1, 3])
def test_draws_follow_the_fitted_density(components):
    mixture, n = fitted(clusters(), components), 20_000
    z, p = mixture.sample(SampleNoise(0, range(n))), density(mixture)
    torch.testing.assert_close(z.mean(0), p.mean, rtol=0, atol=0.08)
    torch.testing.assert_close(z.var(0), p.variance, rtol=0.03, atol=0)
    drawn, own = p.log_prob(z), p.log_prob(p.sample((n,)))
    assert (drawn.mean() - own.mean()).abs() < 5 * (drawn.std() + own.std()) / n**0.5
    used = torch.cdist(z, mixture.means).argmin(1).bincount(minlength=components) / n
    torch.testing.assert_close(used, mixture.weights, rtol=0, atol=0.02)


def test_a_draw_depends_on_seed_and_index_alone():
    mixture = fitted(clusters(), 3)
    whole = mixture.sample(SampleNoise(4, range(9)))
    for low, high in ((0, 1), (3, 5), (5, 9)):
        part = mixture.sample(SampleNoise(4, range(low, high)))
        torch.testing.assert_close(part, whole[low:high], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(whole, mixture.sample(SampleNoise(5, range(9))))


def test_before_a_fit_it_is_the_standard_normal():
    z = GaussianMixture(latent_dim=2, components=5).sample(SampleNoise(0, range(5000)))
    torch.testing.assert_close(z.mean(0), torch.zeros(2), rtol=0, atol=0.07)
    torch.testing.assert_close(torch.cov(z.T), torch.eye(2), rtol=0, atol=0.1)


@pytest.mark.parametrize(("n", "used"), [(2, 1), (9, 2), (40, 10)])
def test_few_examples_use_few_components_and_the_rest_weigh_nothing(n, used):
    z = torch.randn(n, 3, generator=generator_of(0, "few"))
    mixture = fitted(clusters(), 1)
    mixture = GaussianMixture(latent_dim=3, components=10)
    mixture.fit(torch.randn(500, 3, generator=generator_of(0, "many")))
    mixture.fit(z)  # a smaller second fit leaves nothing of the first
    assert (mixture.weights > 0).tolist() == [True] * used + [False] * (10 - used)
    drawn = mixture.sample(SampleNoise(0, range(500)))
    assert torch.isfinite(drawn).all()
    distance = torch.cdist(drawn, mixture.means[:used]).min(1).values
    assert distance.max() < 6 * mixture.factors[:used].norm(dim=(1, 2)).max()


DENSITIES = {
    "gaussian": GaussianDensity,
    "mixture": partial(GaussianMixture, components=3),
    "kernel": partial(KernelDensity, points=700, bandwidth=FixedBandwidth(0.3)),
}
WIDER = {"gaussian": 1.0, "mixture": 1.0, "kernel": 1 + 0.3**2}  # what a kernel adds to the covariance
each_density = pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES)


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_have_the_moments_of_what_was_fitted(name):
    z, density = clusters(), DENSITIES[name](latent_dim=2)
    density.fit(z)
    drawn = density.sample(SampleNoise(0, range(20_000)))
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.12)
    torch.testing.assert_close(torch.cov(drawn.T), WIDER[name] * torch.cov(z.T), rtol=0.06, atol=0.15)


@each_density
def test_any_density_draws_by_seed_and_index_alone(make):
    density = make(latent_dim=2)
    density.fit(clusters())
    whole = density.sample(SampleNoise(4, range(9)))
    torch.manual_seed(1)
    for indices in ([5], [7, 1, 6]):
        torch.testing.assert_close(density.sample(SampleNoise(4, indices)), whole[indices], rtol=1e-6, atol=1e-6)
    assert (density.sample(SampleNoise(5, range(9))) - whole).abs().amax(1).min() > 0


@each_density
def test_any_density_is_the_standard_normal_before_a_fit(make):
    z = make(latent_dim=2).sample(SampleNoise(0, range(5000)))
    torch.testing.assert_close(z.mean(0), torch.zeros(2), rtol=0, atol=0.07)
    torch.testing.assert_close(torch.cov(z.T), torch.eye(2), rtol=0, atol=0.1)


@each_density
@pytest.mark.parametrize("n", [2, 3, 5])
def test_any_density_fits_fewer_points_than_it_has_parts_or_dimensions(make, n):
    z = 5 + torch.randn(n, 6, generator=generator_of(0, "few"))
    density = make(latent_dim=6)
    shapes = {name: value.shape for name, value in density.state_dict().items()}
    density.fit(torch.randn(900, 6, generator=generator_of(0, "many")))
    density.fit(z)  # a smaller second fit leaves nothing of the first
    assert {name: value.shape for name, value in density.state_dict().items()} == shapes
    drawn = density.sample(SampleNoise(0, range(4000)))
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.2)


@each_density
def test_any_density_is_carried_by_its_buffers(make):
    density, other = make(latent_dim=2), make(latent_dim=2)
    density.fit(clusters())
    other.load_state_dict(density.state_dict())
    assert torch.equal(other.sample(SampleNoise(0, range(50))), density.sample(SampleNoise(0, range(50))))


def test_one_gaussian_is_a_mixture_of_one():
    z, gaussian = clusters(), GaussianDensity(latent_dim=2, regularization=1e-3)
    gaussian.fit(z)
    mixture = fitted(z, 1, regularization=1e-3)
    torch.testing.assert_close(gaussian.mean, mixture.means[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(gaussian.factor, mixture.factors[0], rtol=0, atol=1e-5)

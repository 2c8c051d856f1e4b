"""The kernel density: its bandwidths are the literature's, its draws stand beside the stored points."""

import pytest
import torch
from scipy.stats import gaussian_kde

from genkit.models.kernel_density import FixedBandwidth, KernelDensity, Scott, Silverman
from genkit.noise import SampleNoise, generator_of


@pytest.mark.parametrize(("rule", "name"), [(Scott(), "scott"), (Silverman(), "silverman")])
@pytest.mark.parametrize(("n", "dim"), [(50, 1), (700, 3), (4096, 16)])
def test_a_rule_is_that_of_scipy(rule, name, n, dim):
    points = torch.randn(dim, n, generator=generator_of(0, "points")).numpy()
    assert rule(n, dim) == pytest.approx(gaussian_kde(points, bw_method=name).factor, rel=1e-12)


def test_draws_follow_the_density_of_scipy():
    z = torch.randn(60, 1, generator=generator_of(0, "z")).exp()  # skewed: no Gaussian would do
    density = KernelDensity(latent_dim=1, points=60, regularization=1e-12)
    density.fit(z)
    drawn = density.sample(SampleNoise(0, range(20_000)))[:, 0]
    truth = gaussian_kde(z.T.double().numpy(), bw_method=Scott()(60, 1) * (59 / 60) ** 0.5)  # its covariance: N - 1
    for x in (0.3, 1.0, 2.0, 4.0):
        assert (drawn < x).float().mean().item() == pytest.approx(truth.integrate_box_1d(-100, x), abs=0.015)


def test_a_narrow_kernel_draws_each_stored_point_equally_often():
    z = torch.arange(5.0)[:, None] * 10
    density = KernelDensity(latent_dim=1, points=8, bandwidth=FixedBandwidth(1e-6))
    density.fit(z)
    drawn = density.sample(SampleNoise(0, range(10_000)))
    counts = torch.cdist(drawn, z).argmin(1).bincount(minlength=5) / 10_000
    torch.testing.assert_close(counts, torch.full((5,), 0.2), rtol=0, atol=0.02)
    assert (drawn - z.T).abs().amin(1).max() < 0.001


def test_of_many_points_an_even_choice_is_stored_and_all_give_the_covariance():
    z = torch.arange(100.0)[:, None]
    density = KernelDensity(latent_dim=1, points=10, bandwidth=FixedBandwidth(1.0))
    density.fit(z)
    assert density.stored[:, 0].tolist() == list(range(0, 100, 10))
    assert density.factor.item() == pytest.approx(z.std(correction=0).item(), rel=1e-5)

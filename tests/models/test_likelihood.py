"""Likelihoods: masses that sum to one, densities that agree with torch, draws that follow them."""

import math

import pytest
import torch
from torch.distributions import Normal

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.default_likelihood import default_likelihood
from genkit.models.likelihood import Bernoulli, DiscretizedLogistic, Gaussian
from genkit.noise import generator_of


def pixel(levels: int, value_range: tuple[float, float] = (-1.0, 1.0)) -> DataSpec:
    return DataSpec(shape=(1, 1, 1), modality="image", value_range=value_range, levels=levels)


def logistic(spec: DataSpec, log_scale: float) -> DiscretizedLogistic:
    likelihood = DiscretizedLogistic(spec=spec)
    with torch.no_grad():
        likelihood.log_scale.fill_(log_scale)
    return likelihood.double()


def all_levels(spec: DataSpec) -> torch.Tensor:
    assert spec.levels is not None
    return spec.scale(torch.arange(spec.levels).reshape(-1, 1, 1, 1)).double()


MEANS, LOG_SCALES = [-3.0, -1.0, -0.31, 0.0, 0.77, 1.5], [-6.0, -3.0, -1.0, 0.5, 4.0]
over_scales = pytest.mark.parametrize("log_scale", LOG_SCALES)
over_specs = pytest.mark.parametrize(
    "spec", [pixel(2), pixel(17), pixel(256), pixel(17, (0.0, 16.0))], ids=lambda s: f"{s.levels}-{s.value_range}"
)


@over_specs
@over_scales
def test_masses_of_all_levels_sum_to_one(spec, log_scale):
    x, likelihood = all_levels(spec), logistic(spec, log_scale)
    for mean in MEANS:
        masses = likelihood.log_prob(x, torch.full_like(x, mean)).exp() * spec.bin_width
        assert masses.sum().item() == pytest.approx(1, abs=1e-5)


@over_specs
@over_scales
def test_a_mass_is_the_difference_of_sigmoids_with_open_ends(spec, log_scale):
    x, likelihood = all_levels(spec), logistic(spec, log_scale)
    lo, hi = spec.value_range
    edges = torch.linspace(lo, hi, spec.levels + 1, dtype=torch.float64)
    for mean in MEANS:
        cdf = torch.sigmoid((edges - mean) / math.exp(log_scale))
        cdf[0], cdf[-1] = 0, 1
        masses = likelihood.log_prob(x, torch.full_like(x, mean)).exp() * spec.bin_width
        torch.testing.assert_close(masses, cdf.diff(), rtol=2e-3, atol=1e-9)


@over_specs
def test_a_level_far_from_the_mean_keeps_its_logarithm_and_gradient_in_float32(spec):
    likelihood, x = logistic(spec, -7.0).float(), all_levels(spec).float()
    out = torch.full_like(x, 5 * spec.value_range[1]).requires_grad_()
    log_prob = likelihood.log_prob(x, out)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert (log_prob.diff() > 0).all()
    for gradient in (out.grad, likelihood.log_scale.grad):
        assert torch.isfinite(gradient).all()
    assert (out.grad[:-1] < 0).all()


def test_every_point_of_a_bin_has_the_bins_density():
    spec = pixel(17)
    likelihood, x = logistic(spec, -1.0), all_levels(spec)
    u = torch.rand(x.shape, generator=generator_of(0, "u"))
    at_centre, inside = (likelihood.log_prob(value, torch.full_like(x, 0.2)) for value in (x, spec.dequantise(x, u)))
    assert torch.equal(at_centre, inside)


@pytest.mark.parametrize(("mean", "log_scale"), [(0.2, -1.5), (-1.0, -1.0), (0.9, 0.3)])
def test_draws_have_the_masses_as_their_histogram(mean, log_scale):
    spec, n = pixel(17), 40_000
    likelihood, x = logistic(spec, log_scale), all_levels(spec)
    masses = likelihood.log_prob(x, torch.full_like(x, mean)).exp() * spec.bin_width
    eps = torch.randn(n, 1, 1, 1, generator=generator_of(0, "eps"))
    drawn = likelihood.draw(torch.full_like(eps, mean), eps)
    shares = torch.bincount(spec.unscale(drawn).flatten().long(), minlength=17) / n
    assert ((shares - masses).abs() < 4.5 * (masses / n).sqrt() + 1e-4).all()
    assert drawn.min() >= -1
    assert drawn.max() <= 1


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (-3.0, 7.0)])
def test_bernoulli_is_torchs_at_every_point_of_a_bin(value_range):
    spec, g = pixel(2, value_range), generator_of(0, "bernoulli")
    v = torch.tensor([0, 1]).repeat(50)[:, None, None, None]
    out = 4 * torch.randn(v.shape, generator=g, dtype=torch.float64)
    expected = torch.distributions.Bernoulli(logits=out).log_prob(v.double()).flatten() - math.log(spec.bin_width)
    likelihood = Bernoulli(spec=spec)
    for x in (spec.scale(v), spec.dequantise(spec.scale(v), torch.rand(v.shape, generator=g))):
        torch.testing.assert_close(likelihood.log_prob(x, out), expected)


def test_bernoulli_masses_sum_to_one_and_keep_their_logarithm_far_out():
    spec = pixel(2)
    x, likelihood = all_levels(spec).float(), Bernoulli(spec=spec)
    for logit in (-200.0, -3.0, 0.0, 40.0):
        log_mass = likelihood.log_prob(x, torch.full_like(x, logit)) + math.log(spec.bin_width)
        assert log_mass.exp().sum().item() == pytest.approx(1)
        assert log_mass.diff().item() == pytest.approx(logit, abs=1e-4)


def test_bernoulli_draws_and_their_mean():
    spec, n = pixel(2), 20_000
    likelihood = Bernoulli(spec=spec)
    eps = torch.randn(n, 1, 1, 1, generator=generator_of(0, "eps"))
    for logit in (-2.0, 0.3):
        out = torch.full_like(eps, logit)
        drawn = likelihood.draw(out, eps)
        assert torch.equal(drawn.unique(), spec.scale(torch.tensor([0, 1])))
        assert drawn.mean().item() == pytest.approx(likelihood.mean(out)[0].item(), abs=4.5 * 0.5 / n**0.5)


def test_gaussian_is_torchs():
    spec = DataSpec(shape=(3,), modality="vector")
    likelihood, g = Gaussian(spec=spec), generator_of(0, "gaussian")
    with torch.no_grad():
        likelihood.log_std.copy_(torch.tensor([-1.0, 0.0, 0.7]))
    x, out, eps = torch.randn(3, 5, 3, generator=g)
    p = Normal(out, likelihood.log_std.exp())
    torch.testing.assert_close(likelihood.log_prob(x, out), p.log_prob(x).sum(1))
    torch.testing.assert_close(likelihood.draw(out, eps), p.mean + p.stddev * eps)
    assert torch.equal(likelihood.mean(out), out)


def test_the_data_chooses_the_likelihood():
    vector = DataSpec(shape=(3,), modality="vector")
    assert isinstance(default_likelihood(spec=pixel(17)), DiscretizedLogistic)
    assert isinstance(default_likelihood(spec=pixel(2)), Bernoulli)
    assert isinstance(default_likelihood(spec=vector), Gaussian)
    for spec in (vector, pixel(17)):
        with pytest.raises(ConfigError, match="two levels"):
            Bernoulli(spec=spec)
    with pytest.raises(ConfigError, match="use Gaussian"):
        DiscretizedLogistic(spec=vector)


@pytest.mark.parametrize("kind", [Bernoulli, DiscretizedLogistic, Gaussian])
def test_several_outputs_of_an_example_are_scored_against_the_same_x(kind):
    spec = DataSpec(shape=(1, 2, 3), modality="image", value_range=(-1.0, 1.0), levels=2)
    g = generator_of(0, "shared")
    x, out = spec.scale(torch.randint(2, (4, 1, 2, 3), generator=g)), torch.randn(5, 4, 1, 2, 3, generator=g)
    likelihood = kind(spec=spec)
    each = torch.stack([likelihood.log_prob(x, one) for one in out])
    torch.testing.assert_close(likelihood.log_prob(x, out), each)

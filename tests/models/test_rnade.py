"""Laws of real numbers drawn one after the other: mass, order, samples, against closed forms and sums over a grid."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.autoregressive.rnade import RNADE, ScalarMixture
from genkit.noise import SampleNoise, generator_of

PLANE = DataSpec(shape=(2,), modality="vector", num_classes=2)
SQUARE = DataSpec(shape=(2,), modality="vector", value_range=(0.0, 3.0))


def model_of(spec: DataSpec, **more: bool) -> RNADE:
    """With weights that are none of the first ones, standardised by data that is none of unit scale."""
    torch.manual_seed(3)
    model = RNADE(spec=spec, components=4, hidden_features=16, depth=1, octaves=1, **more)
    lo, hi = spec.value_range or (-2.0, 4.0)
    model.initialise({"x": lo + (hi - lo) * torch.rand(64, *spec.shape)})
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    return model.double().eval().requires_grad_(False)


def mixture(*shape: int) -> ScalarMixture:
    g = generator_of(0, "mixture")
    logits, means, log_scales = (torch.randn(*shape, 5, generator=g, dtype=torch.float64) for _ in range(3))
    return ScalarMixture(logits.log_softmax(-1), 3 * means, log_scales)


def cells(low: float, high: float, side: int) -> tuple[Tensor, float]:
    """The middles (side², 2) of squares, and the area of one."""
    line = low + (high - low) * (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return torch.cartesian_prod(line, line), ((high - low) / side) ** 2


def test_a_mixture_is_that_of_torch():
    found = mixture(7)
    other = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=found.log_weights),
        torch.distributions.Normal(found.means, found.log_scales.exp()),
    )
    x = torch.linspace(-6, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(found.log_prob(x), other.log_prob(x))
    z = torch.linspace(-5, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(other.cdf(found.quantile(z)), torch.special.ndtr(z), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantiles_of_one_component_are_a_line_far_into_both_tails(dtype):
    one = ScalarMixture(torch.zeros(9, 1, dtype=dtype), torch.full((9, 1), 1.5, dtype=dtype), torch.full((9, 1), -2.0))
    z = torch.linspace(-12, 12, 9, dtype=dtype)
    torch.testing.assert_close(one.quantile(z), 1.5 + math.exp(-2) * z, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "label"), [(PLANE, None), (PLANE, 1), (SQUARE, None)], ids=["plane", "label", "range"]
)
def test_the_density_is_one_in_all(spec, label):
    model = model_of(spec, conditional=label is not None)
    x, area = cells(*(spec.value_range or (-16.0, 16.0)), 400)
    y = None if label is None else torch.full((len(x),), label)
    assert float(model.log_prob(x, y).exp().sum()) * area == pytest.approx(1, abs=5e-3)
    outside = torch.tensor([[3.1, 1.0], [1.0, -0.1]], dtype=torch.float64)
    assert bool(model.log_prob(outside, None if y is None else y[:2]).isinf().all()) == (spec is SQUARE)


def test_the_conditional_of_a_value_depends_on_those_before_it_and_on_all_of_them():
    model = model_of(DataSpec(shape=(4,), modality="vector"))
    x = torch.randn(1, 4, dtype=torch.float64, generator=generator_of(0, "x"))
    jacobian = torch.autograd.functional.jacobian(lambda x: torch.stack(model.conditionals(x), -1).flatten(2), x)
    depends = jacobian[0, :, :, 0].abs().amax(1) > 0
    assert torch.equal(depends, torch.ones(4, 4).tril(-1).bool())


@pytest.mark.parametrize("spec", [PLANE, SQUARE], ids=["plane", "range"])
def test_samples_fall_where_the_density_is(spec):
    """Chi-square of counts in cells against the density's integral over each, by a finer grid."""
    model, n, side, fine = model_of(spec), 8000, 8, 40
    x = model.sample(n, noise=SampleNoise(0, range(n))).double()
    low, high = spec.value_range or (-6.0, 6.0)
    middles, area = cells(low, high, side * fine)
    mass = (model.log_prob(middles).exp() * area).view(side, fine, side, fine).sum((1, 3)).flatten()
    place = ((x - low) / (high - low) * side).floor()
    inside = ((place >= 0) & (place < side)).all(1)
    counts = torch.bincount((place[inside] @ torch.tensor([side, 1.0], dtype=torch.float64)).long(), minlength=side**2)
    expected = n * torch.cat([mass, (1 - mass.sum()).clamp(min=0)[None]])
    counts = torch.cat([counts, n - counts.sum()[None]])
    large = expected >= 5
    few = [float(part[~large].sum()) for part in (counts, expected)]
    distance = float(((counts - expected)[large].square() / expected[large]).sum())
    assert int(large.sum()) > 10
    assert distance < chi2.ppf(0.999, int(large.sum()) - 1)
    assert few[0] == pytest.approx(few[1], abs=4 * math.sqrt(few[1] + 1))


def test_a_sample_continues_its_own_beginning_and_moves_little_with_the_weights():
    model, noise = model_of(PLANE), SampleNoise(0, range(50))
    x = model.sample(50, noise=noise)
    known = torch.tensor([True, False])
    again = model.complete(torch.where(known, x, torch.nan), known, noise=SampleNoise(0, range(50)))
    assert torch.equal(again[:, 0], x[:, 0])
    torch.testing.assert_close(again[:, 1], x[:, 1], rtol=1e-5, atol=1e-5)
    model.bias += 1e-4
    moved = model.sample(50, noise=SampleNoise(0, range(50)))
    assert float((moved - x).abs().max()) < 0.1
    with pytest.raises(ConfigError, match="must come first"):
        model.complete(x, ~known, noise=SampleNoise(0, range(50)))

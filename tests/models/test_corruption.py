"""Corruptions: how much they damage, what they leave, and that training's generator alone decides."""

import pytest
import torch
from model_cases import DIGITS, PLANE
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.autoencoder.corruption import GaussianNoise, Masking, SaltAndPepper
from genkit.noise import generator_of

BOUNDED = DataSpec(shape=(2,), modality="vector", value_range=(-3.0, 5.0))
ALL = [
    (kind, spec) for kind in (GaussianNoise, Masking, SaltAndPepper) for spec in (DIGITS, BOUNDED, PLANE)
    if (kind, spec) != (SaltAndPepper, PLANE)
]  # fmt: skip


def inside(spec: DataSpec, n: int = 2000) -> Tensor:
    """Data away from the ends of the range."""
    u = torch.rand(n, *spec.shape, generator=generator_of(0, "x"))
    if spec.levels is not None:
        return spec.scale((1 + u * (spec.levels - 2)).floor())
    return 0.1 + u


def corrupted(corruption, x: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return corruption(x)


@pytest.mark.parametrize(("kind", "spec"), ALL)
def test_a_corruption_is_a_function_of_the_global_generator_and_leaves_its_input_alone(kind, spec):
    x = inside(spec, 50)
    before = x.clone()
    first = corrupted(kind(spec=spec), x)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    assert torch.equal(x, before)
    assert torch.equal(first, corrupted(kind(spec=spec), x))
    assert not torch.equal(first, corrupted(kind(spec=spec), x, seed=1))
    assert not torch.equal(first, x)


@pytest.mark.parametrize("spec", [DIGITS, PLANE], ids=["digits", "plane"])
def test_gaussian_noise_has_its_deviation(spec):
    x = inside(spec)
    eps = corrupted(GaussianNoise(spec=spec, sigma=0.7), x) - x
    assert eps.mean().item() == pytest.approx(0, abs=0.05)
    assert eps.std().item() == pytest.approx(0.7, rel=0.05)


@pytest.mark.parametrize(("spec", "lost"), [(DIGITS, -16 / 17), (BOUNDED, -3.0), (PLANE, 0.0)])
def test_masking_sets_its_share_to_the_lowest_value(spec, lost):
    x = inside(spec)
    out = corrupted(Masking(spec=spec, probability=0.3), x)
    changed = out != x
    torch.testing.assert_close(out[changed], torch.full_like(out[changed], lost))
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("spec", "low", "high"), [(DIGITS, -16 / 17, 16 / 17), (BOUNDED, -3.0, 5.0)])
def test_salt_and_pepper_sets_half_its_share_to_either_end(spec, low, high):
    x = inside(spec)
    out = corrupted(SaltAndPepper(spec=spec, probability=0.4), x)
    for end in (low, high):
        at_end = torch.isclose(out, torch.tensor(end))
        assert at_end.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert (out == x).float().mean().item() == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("kind", [Masking, SaltAndPepper])
def test_no_share_is_no_corruption_and_all_of_it_loses_everything(kind):
    x = inside(DIGITS, 50)
    assert torch.equal(corrupted(kind(spec=DIGITS, probability=0.0), x), x)
    assert not (corrupted(kind(spec=DIGITS, probability=1.0), x) == x).any()


def test_unbounded_data_has_neither_salt_nor_pepper():
    with pytest.raises(ConfigError, match="bounded"):
        SaltAndPepper(spec=PLANE)

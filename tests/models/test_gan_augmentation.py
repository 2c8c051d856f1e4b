"""Augmentation before the discriminator: shapes, gradients, and the identity where it is off."""

import pytest
import torch
from model_cases import DIGITS, PLANE

from genkit.errors import ConfigError
from genkit.models.gan.augmentation import AnnealedNoise, Augmentation, DiffAugment, InstanceNoise
from genkit.noise import generator_of

OFF = {"brightness": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}
X = torch.rand(64, 1, 8, 6, generator=generator_of(0, "images"), dtype=torch.float64) + 1


def test_all_off_is_the_identity():
    assert DiffAugment(**OFF)(X, 0.0) is X


@pytest.mark.parametrize("part", OFF)
def test_each_part_changes_examples_keeps_their_shape_and_lets_gradients_of_both_orders_through(part):
    torch.manual_seed(0)
    x = X.clone().requires_grad_()
    out = DiffAugment(**OFF | {part: 0.4})(x, 0.0)
    assert out.shape == X.shape
    assert not torch.equal(out, X)
    (gradient,) = torch.autograd.grad(out.pow(3).sum(), x, create_graph=True)
    assert gradient.abs().flatten(1).amax(1).min() > 0
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert second.isfinite().all()
    assert second.abs().max() > 0


@pytest.mark.parametrize("part", OFF)
def test_examples_are_changed_in_ways_of_their_own_that_the_seed_decides(part):
    same = X[:1].expand_as(X)
    torch.manual_seed(0)
    first = DiffAugment(**OFF | {part: 0.4})(same, 0.0)
    assert (first - first[:1]).abs().max() > 0
    torch.manual_seed(0)
    assert torch.equal(DiffAugment(**OFF | {part: 0.4})(same, 0.0), first)


def test_brightness_adds_one_number_per_example_and_contrast_keeps_its_mean():
    torch.manual_seed(0)
    moved = (DiffAugment(**OFF | {"brightness": 0.4})(X, 0.0) - X).flatten(1)
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved))
    assert 0.3 < moved.abs().max() <= 0.4
    scaled = DiffAugment(**OFF | {"contrast": 0.4})(X, 0.0)
    torch.testing.assert_close(scaled.mean((1, 2, 3)), X.mean((1, 2, 3)))
    ratio = scaled.flatten(1).std(1) / X.flatten(1).std(1)
    assert 0.6 <= ratio.min() < 0.7
    assert 1.3 < ratio.max() <= 1.4


def test_translation_moves_the_whole_image_by_up_to_its_share_and_fills():
    torch.manual_seed(0)
    moved = DiffAugment(**OFF | {"translation": 0.25}, fill=-1.0)(X, 0.0)  # up to 2 rows, round(1.5) = 2 columns
    padded = torch.nn.functional.pad(X, (2, 2, 2, 2), value=-1.0)
    windows = {
        (i, j): padded[:, :, i : i + 8, j : j + 6].eq(moved).flatten(1).all(1) for i in range(5) for j in range(5)
    }
    assert torch.stack(list(windows.values())).sum(0).eq(1).all()
    assert sum(bool(found.any()) for found in windows.values()) > 15


def test_cutout_removes_a_rectangle_of_its_share():
    torch.manual_seed(0)
    cut = DiffAugment(**OFF | {"cutout": 0.5}, fill=-1.0)(X, 0.0)
    gone = cut[:, 0] == -1
    assert torch.equal(cut[:, 0][~gone], X[:, 0][~gone])
    assert gone.flatten(1).sum(1).max() == 4 * 3
    rows, columns = gone.any(2), gone.any(1)
    assert torch.equal(gone, rows[:, :, None] & columns[:, None])


@pytest.mark.parametrize(
    ("noise", "progress", "std"),
    [
        (InstanceNoise(0.3), 0.0, 0.3),
        (InstanceNoise(0.3), 0.9, 0.3),
        (AnnealedNoise(0.9, 0.1, 0.5), 0.0, 0.9),
        (AnnealedNoise(0.9, 0.1, 0.5), 0.25, 0.3),  # half of the fall: the geometric mean
        (AnnealedNoise(0.9, 0.1, 0.5), 0.5 - 1e-9, 0.1),
    ],
)
def test_noise_is_standard_normal_times_its_deviation_on_any_data(noise: Augmentation, progress: float, std: float):
    for spec in (DIGITS, PLANE):
        noise.check(spec)
    torch.manual_seed(0)
    x = torch.zeros(4000, 2, dtype=torch.float64, requires_grad=True)
    noisy = noise(x, progress)
    assert noisy.mean().abs() < 0.07 * std
    assert noisy.std().item() == pytest.approx(std, rel=0.04)
    assert torch.equal(torch.autograd.grad(noisy.sum(), x)[0], torch.ones_like(x))


def test_annealed_noise_ends_and_says_that_it_depends_on_the_length():
    assert AnnealedNoise(share=0.5)(X, 0.5) is X
    assert AnnealedNoise().needs_horizon
    assert not InstanceNoise().needs_horizon


def test_points_are_refused_in_one_line():
    DiffAugment().check(DIGITS)
    with pytest.raises(ConfigError, match="is for image data, not vector"):
        DiffAugment().check(PLANE)

"""Black and white: thresholds, draws that follow the intensities, and their order in training."""

import pytest
import torch

from genkit.data.binarization import BINARIZATIONS
from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset
from genkit.data.loader import TrainLoader
from genkit.data.sources.digits import Digits
from genkit.data.sources.mnist import MNIST
from genkit.features.classifier import ClassifierFeatures
from genkit.features.default import default_features

SPLITS = ("train", "val", "test")


def every_level(levels: int, n: int = 1) -> torch.Tensor:
    return torch.arange(levels, dtype=torch.uint8).repeat(n, 1)[:, None, None]


@pytest.mark.parametrize("levels", [17, 256])
def test_threshold_is_on_from_half_intensity(levels):
    on = BINARIZATIONS["threshold"](levels).fixed(every_level(levels), "test").flatten()
    assert torch.equal(on, (torch.arange(levels) / (levels - 1) >= 0.5).to(torch.uint8))


@pytest.mark.parametrize("levels", [17, 256])
@pytest.mark.parametrize("training", [False, True])
def test_dynamic_is_on_as_often_as_the_intensity_says(levels, training):
    n = 20_000
    v, dynamic = every_level(levels, n), BINARIZATIONS["dynamic"](levels)
    on = dynamic.training(v, torch.arange(n), ViewStream(0, 0)) if training else dynamic.fixed(v, "test")
    share, p = on.double().mean(0).flatten(), torch.arange(levels) / (levels - 1)
    assert ((share - p).abs() <= 5 * (p * (1 - p) / n).sqrt()).all()
    assert (share[0], share[-1]) == (0, 1)


def test_the_data_says_how_many_levels_it_has():
    for binarize, levels in {"none": 17, "threshold": 2, "dynamic": 2}.items():
        digits = Digits(binarize=binarize)
        assert digits.spec.levels == levels
        assert all(int(digits.split(name).x.max()) == levels - 1 for name in SPLITS)
    assert Digits().spec.levels == 17
    assert MNIST.spec.levels == 256


@pytest.fixture
def dynamic() -> Dataset:
    return Digits(batch_size=100, binarize="dynamic")


def test_what_is_not_trained_on_is_one_fixed_draw(dynamic):
    again = Digits(binarize="dynamic")
    for name in SPLITS:
        assert torch.equal(dynamic.split(name).x, again.split(name).x)
    pair, other = dynamic.real_pair(898, 0), again.real_pair(898, 0)
    assert torch.equal(pair[0].x, other[0].x)
    assert int(pair[0].x.max()) == 1
    grey = torch.full((50, 1, 8, 8), 8, dtype=torch.uint8)
    assert not torch.equal(dynamic.binarization.fixed(grey, "val"), dynamic.binarization.fixed(grey, "test"))


def seen(data: Dataset, epoch: int, seed: int = 0) -> torch.Tensor:
    """Every example that an epoch shows, in the order of the split; 255 for those that it drops."""
    loader = TrainLoader(data, seed=seed)
    out = torch.full(data.split("train").x.shape, 255, dtype=torch.uint8)
    for m in range(epoch * loader.per_epoch, (epoch + 1) * loader.per_epoch):
        out[loader.index(m)] = data.spec.unscale(loader.batch(m)["x"])
    return out


def test_every_epoch_draws_anew_and_always_the_same(dynamic):
    first, second = seen(dynamic, 0), seen(dynamic, 1)
    shown = (first[:, 0, 0, 0] != 255) & (second[:, 0, 0, 0] != 255)
    assert 0.05 < (first != second)[shown].double().mean() < 0.4
    assert torch.equal(seen(Digits(batch_size=100, binarize="dynamic"), 1), second)
    assert not torch.equal(seen(dynamic, 0, seed=1), first)


def test_a_batch_does_not_depend_on_those_before_or_on_its_size(dynamic):
    loader, fresh = TrainLoader(dynamic, seed=3), TrainLoader(Digits(batch_size=100, binarize="dynamic"), seed=3)
    for m in (0, 1, 9, 1):
        assert torch.equal(loader.batch(m)["x"], fresh.batch(m)["x"])
    index = loader.index(0)
    x = dynamic.view_source.x
    whole = dynamic.view(x[index], index, ViewStream(0, 0))
    part = dynamic.view(x[index[:7]], index[:7], ViewStream(0, 0))
    assert torch.equal(whole[:7], part)


def test_pixels_that_are_certain_stay_what_they_are(dynamic):
    grey = Digits().split("train").x
    drawn = dynamic.view(dynamic.view_source.x, torch.arange(len(grey)), ViewStream(0, 0))
    assert (drawn[grey == 0] == 0).all()
    assert (drawn[grey == 16] == 1).all()


def test_shifts_come_before_the_draw():
    moved = Digits(shift=2, binarize="threshold")
    x, every = moved.view_source.x, torch.arange(798)
    grey = Digits(shift=2).view(x, every, ViewStream(0, 0))
    assert torch.equal(moved.view(x, every, ViewStream(0, 0)), (grey >= 8).to(torch.uint8))


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_classifiers_of_grey_images_do_not_score_binary_ones(name, dynamic):
    assert not ClassifierFeatures(name).accepts(dynamic.spec)
    assert default_features(dynamic.spec, dynamic.features).name == "raw"

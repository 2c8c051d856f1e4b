"""What is said of the variety of samples: counts by hand, and copies among real examples."""

import torch

from genkit.data.kinds import Categorical, Real
from genkit.data.sources.digits import Digits
from genkit.data.sources.toy import Toy
from genkit.data.spec import DataSpec
from genkit.evaluation.variety import VarietyWatch, neighbour_distances
from genkit.noise import generator_of

GRID = Toy(name="twenty_five_gaussians", n_train=2000)
DIGITS = Digits()


def test_the_nearest_other_row():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])
    assert neighbour_distances(x, Real()).tolist() == [5.0, 1.0, 1.0]
    assert neighbour_distances(x.long(), Categorical(6)).tolist() == [2.0, 1.0, 1.0]  # places that differ


def test_modes_are_counted_within_three_deviations():
    centres, std = GRID.modes.centres, GRID.modes.std
    x = torch.cat((centres[:4].repeat(3, 1), centres[7:8] + torch.tensor([2.9 * std, 0.0]), centres[9:10] + 40))
    x = x + 1e-3 * torch.randn(x.shape, generator=generator_of(0, "x"))
    seen = VarietyWatch(GRID, 100)(x)
    assert (seen.kind, seen.reached, seen.n) == ("modes", 5, 14)
    assert seen.counts[:4].tolist() == [3] * 4
    assert seen.values()["samples/modes"] == 5
    assert abs(seen.values()["samples/high_quality"] - 13 / 14) < 1e-6
    assert "5 of 25" in seen.line()


def test_classes_of_real_digits_are_their_labels():
    train = DIGITS.split("train")
    x, y = DIGITS.spec.scale(train.x[:300]), train.y[:300]
    seen = VarietyWatch(DIGITS, 300)(x)
    assert (seen.counts - torch.bincount(y, minlength=10)).abs().max() <= 3  # the classifier errs on few
    assert seen.reached == 10
    assert seen.duplicates == 0
    assert abs(sum(seen.values()[f"samples/classes/{k}"] for k in range(10)) - 1) < 1e-6


def test_of_what_the_classifier_does_not_know_no_classes_are_counted():
    """Noise of several kinds, and images that are nearly digits; a blurred digit that all samples are is one class."""
    noise = generator_of(0, "noise")
    real = DIGITS.spec.scale(DIGITS.split("train").x[:300])
    unknown = {
        "uniform": torch.rand(300, 1, 8, 8, generator=noise) * 2 - 1,
        "grey": 0.1 * torch.randn(300, 1, 8, 8, generator=noise),
        "black": (0.3 * torch.randn(300, 1, 8, 8, generator=noise) - 1).clamp(min=-1),
        "shuffled": real.flatten(1)[:, torch.randperm(64, generator=noise)].view_as(real),
        "inverted": -real,
    }
    watch = VarietyWatch(DIGITS, 300)
    for name, x in unknown.items():
        seen = watch(x)
        assert seen.kind == "", name
        assert set(seen.values()) == {"samples/duplicates"}
        assert seen.line().startswith("duplicates ")
    seen = watch((real + 0.3 * torch.randn(real.shape, generator=noise)).clamp(-1, 1))
    assert (seen.kind, seen.reached) == ("classes", 10)
    assert seen.line().startswith("10 of 10 classes (by the classifier: ")
    assert watch(real[:1].expand(300, -1, -1, -1)).line().startswith("1 of 10 classes (by the classifier: ")


def test_copies_show_and_real_data_have_hardly_any():
    train = DIGITS.split("train")
    x = DIGITS.spec.scale(train.x[:64])
    copied = torch.cat((x[:48], x[:1].expand(16, -1, -1, -1)))
    assert VarietyWatch(DIGITS, 64)(copied).duplicates == 17 / 64
    points = GRID.draw(500, "fresh").x
    assert VarietyWatch(GRID, 500)(points).duplicates < 0.03
    assert VarietyWatch(GRID, 500)(points[:1].repeat(500, 1)).duplicates == 1


def test_a_single_sample_and_unknown_data_are_fine():
    assert VarietyWatch(DIGITS, 4)(DIGITS.spec.scale(DIGITS.split("train").x[:1])).duplicates == 0

    class Other(Toy):
        def __init__(self):
            super().__init__(name="two_moons", n_train=500)
            self.spec = DataSpec(shape=(2,), modality="vector")

    seen = VarietyWatch(Other(), 64)(torch.randn(64, 2, generator=generator_of(0, "x")))
    assert seen.kind == ""
    assert set(seen.values()) == {"samples/duplicates"}


def test_classes_are_told_by_a_classifier_of_the_very_data_alone():
    class Clothes(Digits):
        features = None

    seen = VarietyWatch(Clothes(), 100)(DIGITS.spec.scale(DIGITS.split("train").x[:50]))
    assert seen.kind == ""
    assert "class" not in seen.line()

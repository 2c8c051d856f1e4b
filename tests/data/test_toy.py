"""Toys as datasets: names, disjoint seeded splits, floors, and what they declare."""

import pytest
import torch

from genkit.data.dataset import KnownDensity
from genkit.data.sources.toy import SPELLINGS, TOYS, Toy, toy_name
from genkit.errors import ConfigError


@pytest.mark.parametrize("name", sorted(TOYS))
def test_splits_labels_and_spec(name: str) -> None:
    toy = Toy(name, n_train=1_000)
    assert {part: len(toy.split(part)) for part in ("train", "val", "test")} == {
        "train": 1_000,
        "val": 2_000,
        "test": 10_000,
    }
    train = toy.split("train")
    assert train.x.dtype == torch.float32
    assert train.x.shape[1:] == toy.spec.shape == (2,)
    assert train.y is not None
    assert train.y.dtype == torch.int64
    assert toy.spec.num_classes is not None
    assert 0 <= int(train.y.min()) <= int(train.y.max()) < toy.spec.num_classes
    assert toy.spec.value_range is None
    assert toy.spec.levels is None
    assert isinstance(toy.density, KnownDensity)
    assert torch.isfinite(toy.density.log_prob(train.x)).all()


def test_modes_are_declared_by_the_mixtures_alone() -> None:
    assert {name for name in TOYS if Toy(name, n_train=1).modes} == {"eight_gaussians", "twenty_five_gaussians"}


def test_splits_are_disjoint_and_the_same_at_every_call() -> None:
    toy = Toy(n_train=500)
    assert toy.split("train").x is toy.split("train").x
    rows = torch.cat([toy.split(part).x for part in ("train", "val", "test")])
    assert len(rows.unique(dim=0)) == len(rows)
    assert torch.equal(toy.split("val").x, Toy(n_train=500).split("val").x)
    assert not torch.equal(toy.split("val").x, Toy(n_train=500, seed=1).split("val").x)


def test_longer_training_split_leaves_the_others_alone() -> None:
    assert torch.equal(Toy(n_train=10).split("test").x, Toy(n_train=1_000).split("test").x)


def test_real_pair_is_fresh_and_never_exhausted() -> None:
    toy = Toy(n_train=10)
    fake, reference = toy.real_pair(20_000, repeat=0)
    assert (len(fake), len(reference)) == (20_000, 10_000)
    again, other = toy.real_pair(20_000, repeat=0)[0], toy.real_pair(20_000, repeat=1)[0]
    assert torch.equal(fake.x, again.x)
    assert not torch.equal(fake.x, other.x)
    everything = torch.cat([fake.x, reference.x, toy.split("test").x])
    # float32 leaves a handful of coincidences among 40,000 points of the plane, not thousands
    assert len(everything.unique(dim=0)) > len(everything) - 5


@pytest.mark.parametrize(("spelling", "name"), [*SPELLINGS.items(), ("Eight-Gaussians", "eight_gaussians")])
def test_spellings(spelling: str, name: str) -> None:
    assert toy_name(spelling) == name
    assert name in TOYS


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("eight_gausians", "eight_gaussians"), ("pinweel", "pinwheel"), ("moon", "two_moons")]
)
def test_unknown_name_offers_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.name={wrong}.*did you mean {nearest}\?") as caught:
        Toy(wrong)
    assert "\n" not in str(caught.value)


def test_nonsense_name_lists_what_there_is() -> None:
    with pytest.raises(ConfigError, match="checkerboard"):
        Toy("qqqq")

"""Features of the user's own data: trained once, found again, trained again for other data or a damaged file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genkit.data.dataset import Dataset, SplitName
from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features.base import RealData
from genkit.features.own import OwnFeatures
from genkit.metrics.frechet import FrechetDistance

SPEC = DataSpec((3, 12, 10), "image", (-1.0, 1.0), 256, num_classes=3)


def striped(n: int, seed: int = 0, noise: float = 40.0) -> Split:
    """Images whose stripes lie along the rows, along the columns or nowhere, by their class."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    rows, columns = (torch.arange(side) % 2 for side in SPEC.shape[1:])
    patterns = torch.stack([rows[:, None].expand(12, 10), columns.expand(12, 10), torch.full((12, 10), 0.5)])
    grey = 60 + 120 * patterns[y][:, None] + noise * torch.randn(n, 3, 12, 10, generator=generator)
    return Split(grey.clamp(0, 255).to(torch.uint8), y)


def real(train: Split, spec: DataSpec = SPEC) -> RealData:
    return RealData(spec, striped(40, seed=1), train)


def quick() -> OwnFeatures:
    return OwnFeatures(size=12, dim=16, views=600)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def test_they_are_trained_once_and_found_again(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = quick().fitted(real(striped(120)))
    said = capfd.readouterr().err
    assert "training a classifier of 3 classes on 108 images" in said
    assert "of 12 held-out images" in said
    again = quick().fitted(real(striped(120)))
    assert capfd.readouterr().err == ""
    x = SPEC.scale(striped(30, seed=2).x)
    assert torch.equal(first(x, SPEC), again(x, SPEC))
    assert first.id == again.id
    assert first.facts(SPEC) == again.facts(SPEC)
    assert first.facts(SPEC)["trained_on"] == 108
    assert len(list(cache.iterdir())) == 1


def changed_pixel(split: Split) -> Split:
    x = split.take(torch.arange(len(split))).x
    x[0, 0, 0, 0] ^= 1
    return Split(x, split.labels)


def changed_label(split: Split) -> Split:
    y = torch.arange(len(split)) % 3
    y[0] = 2
    return Split(split.take(torch.arange(len(split))).x, y)


@pytest.mark.parametrize("change", [changed_pixel, changed_label])
def test_other_data_has_a_network_of_its_own(change, cache: Path) -> None:
    one = OwnFeatures(size=4, dim=4, views=100)
    for count, split in enumerate((striped(60), change(striped(60)), striped(60)), 1):
        one.fitted(real(split))
        assert len(list(cache.iterdir())) == min(count, 2)


@pytest.mark.parametrize("damage", [lambda content: content[:-3], lambda content: b"", lambda content: content[:65]])
def test_a_damaged_file_is_trained_again_aloud(damage, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, data = OwnFeatures(size=4, dim=4, views=100), real(striped(60))
    first = one.fitted(data)
    [file] = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    capfd.readouterr()
    assert one.fitted(data).id == first.id
    assert "damaged: the classifier is trained again" in capfd.readouterr().err
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_only(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cache.parent.write_text("in the way")
    features = OwnFeatures(size=4, dim=4, views=100).fitted(real(striped(60)))
    assert "not kept, so trained again next time" in capfd.readouterr().err
    assert features(SPEC.scale(striped(5).x), SPEC).shape == (5, features.dim(SPEC))


def noisy(v: Tensor, strength: float) -> Tensor:
    noise = torch.randn(v.shape, generator=torch.Generator().manual_seed(3))
    return (v + 255 * strength * noise).clamp(0, 255).to(torch.uint8)


class Stripes(Dataset):
    """As the user's data comes."""

    spec, batch_size, eval_n = SPEC, 16, 60

    def __init__(self) -> None:
        self.splits = {"train": striped(150), "val": striped(40, seed=1), "test": striped(60, seed=2)}

    def split(self, name: SplitName) -> Split:
        return self.splits[name]


def test_they_know_the_classes_and_rank_corruptions_in_scores_of_either_split(cache: Path) -> None:
    data, test = Stripes(), striped(60, seed=4)
    for split in ("val", "test"):  # while training, and afterwards
        evaluator = Evaluator(
            {"fid": FrechetDistance()},
            OwnFeatures(size=12, dim=16, views=1500),
            Reference.of(data, "stripes", split),
            named=True,
            floor_repeats=0,
            look_for_copies=False,
            device=torch.device("cpu"),
        )
        scores = [evaluator.score_samples(Split(noisy(test.x, strength)))[0] for strength in (0.0, 0.2, 0.4, 0.8)]
        values = [score.value for score in scores if score.value is not None]
        assert values == sorted(values)
        assert len(values) == 4
        assert scores[0].name == "fid[own]"
        assert scores[0].features is not None
        assert scores[0].features["accuracy"] > 0.9
        assert not any("sees little" in line for line in scores[0].warnings)
    assert len(list(cache.iterdir())) == 1  # the reference is not what they are made of
    features = evaluator.features
    assert isinstance(features, OwnFeatures)
    assert (features.logits(SPEC.scale(test.x), SPEC).argmax(1) == test.labels).double().mean() > 0.9


def test_poor_features_say_so_in_every_score() -> None:
    mute = Split(torch.randint(256, (60, *SPEC.shape), generator=torch.Generator().manual_seed(0)).to(torch.uint8),
                 torch.arange(60) % 3)  # fmt: skip
    features = OwnFeatures(size=4, dim=4, views=100).fitted(real(mute))
    assert "it sees little of this data; choose features=cifar" in features.caution


REFUSED = [
    (None, "a file of reference images has no training split: give data="),
    (Split(striped(60).x), "this data has no labels to learn features from"),
    (striped(30), "30 labelled training images of 3 classes: 50 of two classes are needed"),
    (Split(striped(60).x, torch.zeros(60, dtype=torch.int64)), "60 labelled training images of 1 class"),
]  # fmt: skip


@pytest.mark.parametrize(("train", "reason"), REFUSED, ids=["file", "unlabelled", "few", "one class"])
def test_what_cannot_teach_them_is_refused_in_a_line(train: Split | None, reason: str, cache: Path) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        quick().fitted(RealData(SPEC, striped(40), train))
    assert "\n" not in str(caught.value)
    assert not cache.exists()


SPECS = [
    replace(SPEC, shape=(1, 5, 64), kind=Quantised(17)),
    replace(SPEC, shape=(4, 40, 8)),
    DataSpec((2, 3, 3), "image", (0.0, 1.0), num_classes=3),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_any_image_has_them(spec: DataSpec) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(60, *spec.shape, generator=generator)
    v = x if spec.levels is None else (x * (spec.levels - 1)).to(torch.uint8)
    features = OwnFeatures(size=16, dim=8, views=60)
    fitted = features.fitted(RealData(spec, Split(v[:10]), Split(v, torch.arange(60) % 3)))
    x = spec.scale(v)
    together = fitted(x, spec)
    torch.testing.assert_close(torch.cat([fitted(row[None], spec) for row in x]), together, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(together).all()
    assert fitted.logits(x, spec).shape == (60, 3)

"""Features: pinned weights, the accuracy they were shipped with, quantisation, standardisation, what they separate."""

import hashlib
import json
import shutil

import pytest
import torch

from genkit.data.sources.digits import Digits
from genkit.data.sources.mnist import MNIST as MNISTData
from genkit.data.sources.stacked_mnist import StackedMNIST
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError, DataError
from genkit.evaluation.baseline import pixel_gaussian
from genkit.features import base, classifier
from genkit.features.base import FeatureExtractor, RealData, unit_range
from genkit.features.classifier import PINNED, WEIGHTS, ClassifierFeatures
from genkit.features.default import default_features
from genkit.features.pca import PrincipalComponents
from genkit.features.raw import DEAD, RawFeatures
from genkit.metrics.base import Probe
from genkit.metrics.frechet import FrechetDistance

MNIST = DataSpec((1, 28, 28), "image", (-1.0, 1.0), 256, 10)
PLANE = DataSpec((2,), "vector")


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


@pytest.fixture(scope="module")
def extractor() -> ClassifierFeatures:
    return ClassifierFeatures("digits")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", sorted(PINNED))
def test_shipped_files_are_small_pinned_and_name_the_features(name: str) -> None:
    for suffix, sha256 in zip(("safetensors", "json"), PINNED[name], strict=True):
        content = (WEIGHTS / f"{name}.{suffix}").read_bytes()
        assert len(content) < 2**20
        assert hashlib.sha256(content).hexdigest() == sha256
    assert ClassifierFeatures(name).id.endswith(f"@{PINNED[name][0][:8]}")


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
def test_altered_or_missing_files_are_refused(suffix: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(WEIGHTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path)
    path = tmp_path / f"digits.{suffix}"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"digits.{suffix} has sha256 .* not the pinned"):
        ClassifierFeatures("digits")
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        ClassifierFeatures("digits")


def test_digits_network_classifies_images_it_never_saw(digits: Digits, extractor: ClassifierFeatures) -> None:
    test = digits.split("test")
    right = extractor.logits(digits.spec.scale(test.x), digits.spec).argmax(1) == test.y
    assert right.double().mean() >= 0.985
    assert float(right.double().mean()) == pytest.approx(extractor.accuracy, abs=1e-3)


def test_stored_statistics_standardise_the_training_half(digits: Digits, extractor: ClassifierFeatures) -> None:
    half = torch.cat([digits.split("train").x, digits.split("val").x])
    z = extractor(digits.spec.scale(half), digits.spec)
    assert z.dtype == torch.float64
    torch.testing.assert_close(z.mean(0), torch.zeros(z.shape[1], dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(z.shape[1], dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", sorted(PINNED))
def test_units_that_hardly_vary_are_left_out(name: str) -> None:
    sidecar = json.loads((WEIGHTS / f"{name}.json").read_text())
    sd = torch.tensor(sidecar["sd"])
    assert sidecar["mask"] == (sd >= DEAD * sd.median()).tolist()
    assert ClassifierFeatures(name).dim(MNIST) == sum(sidecar["mask"])


def test_features_see_stored_levels_alone(digits: Digits, extractor: ClassifierFeatures) -> None:
    x = digits.spec.scale(digits.split("test").x[:20])
    within = digits.spec.dequantise(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(extractor(x, digits.spec), extractor(within, digits.spec))
    beyond = torch.full((1, *digits.spec.shape), 7.0)
    assert torch.equal(unit_range(beyond, digits.spec), torch.ones(1, *digits.spec.shape, dtype=torch.float64))


def test_features_of_an_example_are_its_own(digits: Digits, extractor: ClassifierFeatures) -> None:
    x = digits.spec.scale(digits.split("test").x[:64])
    alone = torch.cat([extractor(row[None], digits.spec) for row in x])
    torch.testing.assert_close(alone, extractor(x, digits.spec), rtol=1e-4, atol=1e-5)


def test_held_out_data_is_nearest_then_noise_then_a_gaussian(digits: Digits, extractor: ClassifierFeatures) -> None:
    """The floor of 2d/n + d(d+1)/(2n), that of white features, bounds what held-out data may score."""
    half = torch.cat([digits.split("train").x, digits.split("val").x]).float()
    n, d = len(half), extractor.dim(digits.spec)
    candidates = {
        "real": half,
        "noise": (half + 0.2 * 16 * noise(*half.shape)).round().clamp(0, 16),
        "gaussian": pixel_gaussian(digits, n, seed=0),
    }
    score = {name: frechet(extractor, digits, v) for name, v in candidates.items()}
    assert score["real"] < 2 * d / n + d * (d + 1) / (2 * n)
    assert 2 * score["real"] < score["noise"]
    assert 2 * score["noise"] < score["gaussian"]


def frechet(extractor: FeatureExtractor, digits: Digits, v: torch.Tensor) -> float:
    metric, spec = FrechetDistance(), digits.spec
    metric.update(
        Probe(
            spec,
            {
                "real_features": lambda: extractor(spec.scale(digits.split("test").x), spec),
                "fake_features": lambda: extractor(spec.scale(v), spec),
            },
        )
    )
    return float(metric.compute())


def test_raw_features_keep_double_precision() -> None:
    x = 1e8 + noise(50, 2).double() * 1e-4
    assert torch.equal(RawFeatures("none")(x, PLANE), x)
    z = RawFeatures("std").fitted(RealData(PLANE, Split(x)))(x, PLANE)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(2, dtype=torch.float64), rtol=1e-3, atol=0)


def test_raw_features_are_standardised_by_the_reference_not_by_what_is_scored() -> None:
    reference, other = noise(500, 2), 5 + 3 * noise(500, 2, seed=1)
    fitted = RawFeatures("std").fitted(RealData(PLANE, Split(reference)))
    expected = (other.double() - reference.double().mean(0)) / reference.double().std(0, correction=0)
    torch.testing.assert_close(fitted(other, PLANE), expected)


@pytest.mark.parametrize("each", [RawFeatures("std"), PrincipalComponents(4)], ids=lambda case: case.name)
def test_what_is_fitted_in_pieces_is_fitted_to_all(each: FeatureExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DataSpec((1, 2, 3), "image", (-1.0, 1.0), 256)
    v = torch.randint(256, (50, *spec.shape), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    x, real = spec.scale(v), RealData(spec, Split(v))
    whole = each.fitted(real)(x, spec)
    monkeypatch.setattr(base, "FITTED_AT_ONCE", 8 * spec.dim * 7)
    assert [len(piece) for piece in real.coordinates()] == [7] * 7 + [1]
    torch.testing.assert_close(each.fitted(real)(x, spec).abs(), whole.abs(), rtol=1e-9, atol=1e-9)


def test_constant_values_stay_finite() -> None:
    x = noise(30, 2)
    x[:, 1] = 4.0
    assert torch.equal(
        RawFeatures("std").fitted(RealData(PLANE, Split(x)))(x, PLANE)[:, 1], torch.zeros(30, dtype=torch.float64)
    )
    spec = DataSpec((1, 2, 2), "image", (-1.0, 1.0), 256)
    v = torch.zeros(30, 1, 2, 2, dtype=torch.uint8)
    v[:, 0, 0, 0] = torch.arange(30)
    fitted = RawFeatures("std").fitted(RealData(spec, Split(v)))
    assert torch.isfinite(fitted(torch.rand(5, 1, 2, 2), spec)).all()


def test_a_pixel_that_hardly_varies_is_divided_by_a_hundredth_of_the_largest_deviation() -> None:
    spec = DataSpec((1, 1, 3), "image", (-1.0, 1.0), 256)
    v = torch.zeros(30, 1, 1, 3, dtype=torch.uint8)
    v[:, 0, 0, 0], v[0, 0, 0, 1], v[::2, 0, 0, 2] = 8 * torch.arange(30), 1, 3
    deviations = v.double().flatten(1).std(0, correction=0)
    assert deviations[1] < 0.01 * deviations[0] < deviations[2]
    deviations[1] = 0.01 * deviations[0]
    x = spec.scale(v)
    expected = (v.double().flatten(1) - v.double().flatten(1).mean(0)) / deviations
    torch.testing.assert_close(RawFeatures("std").fitted(RealData(spec, Split(v)))(x, spec), expected)


@pytest.mark.parametrize(
    ("spec", "own", "expected"),
    [
        (Digits.spec, Digits.features, "digits"),
        (MNIST, "mnist", "mnist"),
        (PLANE, None, "raw"),
        (DataSpec((1, 28, 28), "image", (-1.0, 1.0), 16), "mnist", "raw"),
        (DataSpec((3, 32, 32), "image", (-1.0, 1.0), 256), "cifar", "cifar"),
        (DataSpec((3, 16, 16), "image", (-1.0, 1.0), 256), None, "cifar@32*"),
        (DataSpec((3, 48, 64), "image", (-1.0, 1.0), 256), None, "cifar@32*"),
        (DataSpec((3, 64, 64), "image", (-1.0, 1.0), 32), None, "cifar@32*"),
        (DataSpec((3, 64, 64), "image", (-1.0, 1.0), 16), None, "raw"),
        (DataSpec((3, 64, 64), "image", (-1.0, 1.0), 256), "cifar", "cifar@32"),
        (DataSpec((3, 64, 64), "image", (0.0, 1.0)), None, "cifar@32*"),
        (DataSpec((3, 64, 64), "image"), None, "raw"),
        (DataSpec((1, 64, 64), "image", (-1.0, 1.0), 256), None, "cifar@32*"),
        (DataSpec((1, 32, 32), "image", (-1.0, 1.0), 256), "mnist", "cifar@32*"),
        (DataSpec((4, 32, 32), "image", (-1.0, 1.0), 256), None, "raw"),
        (DataSpec((3, 28, 28), "image", (-1.0, 1.0), 256), "stacked_mnist", "stacked_mnist"),
        (Digits.spec, None, "digits*"),
        (MNIST, "clothes", "mnist*"),
        (DataSpec((3, 32, 32), "image", (-1.0, 1.0), 256), None, "cifar*"),
        (DataSpec((3, 28, 28), "image", (-1.0, 1.0), 256), None, "cifar@32*"),
    ],
)
def test_default_is_the_network_made_for_the_data_or_stands_in(spec: DataSpec, own: str | None, expected: str) -> None:
    features = default_features(spec, own)
    assert features.name == expected
    assert features.accepts(spec)
    stands_in, pixels = expected.endswith("*"), expected == "raw" and spec.modality == "image"
    assert features.stand_in == features.facts(spec).get("stand_in", False) == stands_in
    assert bool(features.caution) == (stands_in or pixels)
    assert features.id.split("/")[0] in (expected.strip("*").partition("@")[0], "mnist", "raw")


def test_every_dataset_with_a_shipped_network_names_it() -> None:
    assert (Digits.features, MNISTData.features, StackedMNIST.features) == ("digits", "mnist", "stacked_mnist")
    assert not ClassifierFeatures("digits").caution  # by name it is what the user wants


def test_what_is_asked_wrongly_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.name=fashion.*digits, mnist, cifar"):
        ClassifierFeatures("fashion")
    with pytest.raises(ConfigError, match=r"features\.normalize=l2"):
        RawFeatures("l2")
    with pytest.raises(ConfigError, match="fitted on a reference"):
        RawFeatures("std")(noise(3, 2), PLANE)

"""The network of colour images on images of any size: the resize, the names, and what it can tell apart."""

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features import network
from genkit.features.classifier import ClassifierFeatures
from genkit.features.network import NetworkFeatures, intensities, resized
from genkit.features.resized import ResizedFeatures
from genkit.metrics.frechet import FrechetDistance

SIZES = [(3, 64, 64), (3, 48, 64), (3, 16, 16), (1, 40, 20), (3, 32, 32)]


def spec_of(shape: tuple[int, ...], levels: int | None = 256) -> DataSpec:
    return DataSpec(shape, "image", (-1.0, 1.0), levels)


def blobs(n: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Smooth random images (n, *shape) uint8."""
    coarse = torch.rand(n, shape[0], 4, 4, generator=torch.Generator().manual_seed(seed))
    return (255 * resized(coarse, *shape[1:])).to(torch.uint8)


@pytest.fixture(scope="module")
def features() -> ResizedFeatures:
    return ResizedFeatures(ClassifierFeatures("cifar"))


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_features_of_an_image_of_any_size_are_its_own(features: ResizedFeatures, shape: tuple[int, ...]) -> None:
    spec = spec_of(shape)
    x = spec.scale(blobs(20, shape))
    together = features(x, spec)
    assert together.shape == (20, features.dim(spec))
    alone = torch.cat([features(row[None], spec) for row in x])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    assert torch.equal(resized(intensities(x, spec), 32, 32)[:5], resized(intensities(x[:5], spec), 32, 32))


def test_large_images_are_read_and_asked_about_in_pieces(
    features: ResizedFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of((3, 64, 48))
    x = spec.scale(blobs(50, spec.shape))
    whole = features(x, spec)
    monkeypatch.setattr(network, "VALUES", 3 * spec.dim)
    monkeypatch.setattr(NetworkFeatures, "at_once", 20)
    torch.testing.assert_close(features(x, spec), whole, rtol=1e-5, atol=1e-5)


def test_images_of_the_network_s_own_size_are_not_resampled(features: ResizedFeatures) -> None:
    spec = spec_of((3, 32, 32))
    x = spec.scale(blobs(8, spec.shape))
    assert torch.equal(features(x, spec), features.one(x, spec))
    assert torch.equal(features.logits(x, spec), features.one.logits(x, spec))


def test_a_large_image_is_averaged_not_sampled() -> None:
    stripes = torch.zeros(1, 1, 64, 256)
    stripes[..., ::8] = 1.0  # a sampling of every eighth column is all white or all black
    small = resized(stripes, 32, 32)[..., 2:-2]
    torch.testing.assert_close(small, torch.full_like(small, 1 / 8), atol=0.02, rtol=0)
    assert resized(torch.tensor([[[[0.0, 1.0]]]]), 8, 8).aminmax() == (0.0, 1.0)  # the cubic's overshoot is cut


def test_real_images_are_read_by_their_range_and_grey_ones_on_three_channels(features: ResizedFeatures) -> None:
    v = blobs(6, (1, 48, 40))
    grey, real = spec_of((1, 48, 40)), DataSpec((1, 48, 40), "image", (0.0, 1.0))
    expected = features(grey.scale(v), grey)
    torch.testing.assert_close(features(v.float() / 255, real), expected, rtol=1e-4, atol=1e-4)
    colour = spec_of((3, 48, 40))
    torch.testing.assert_close(features(colour.scale(v.expand(-1, 3, -1, -1)), colour), expected)


def test_named_features_of_other_sizes_say_so_in_every_record() -> None:
    spec, metrics = spec_of((3, 24, 40)), {"fid": FrechetDistance()}
    reference = Reference(spec, Split(blobs(40, spec.shape)), "pictures")
    evaluator = Evaluator(metrics, ClassifierFeatures("cifar"), reference, named=True, floor_repeats=0)
    [record, *_] = evaluator.score_samples(Split(blobs(40, spec.shape, seed=1)))
    assert record.name == "fid[cifar@32]"
    assert record.features is not None
    assert record.features["id"] == f"{ClassifierFeatures('cifar').id}/32-bicubic"


def test_distances_grow_with_the_corruption(features: ResizedFeatures) -> None:
    """Noise, on images of which the network has seen none."""
    spec, n = spec_of((3, 48, 64)), 100
    clean, other = blobs(n, spec.shape), blobs(n, spec.shape, seed=1)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    noisy = [(other + 255 * strength * noise).clamp(0, 255).to(torch.uint8) for strength in (0.0, 0.1, 0.2, 0.4)]
    real = features(spec.scale(clean), spec)
    distances = [float((features(spec.scale(v), spec).mean(0) - real.mean(0)).square().sum()) for v in noisy]
    assert distances == sorted(distances)


class Recording(NetworkFeatures):
    """A network that remembers where it was asked."""

    name, id, normalize = "recording", "recording", "none"

    def __init__(self) -> None:
        self.net = torch.nn.Linear(2, 3)
        self.asked_on: list[torch.device] = []

    def accepts(self, spec: DataSpec) -> bool:
        return True

    def dim(self, spec: DataSpec) -> int:
        return 3

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return self.asked(self._noted, x).double()

    def _noted(self, v: Tensor) -> Tensor:
        self.asked_on.append(v.device)
        return torch.zeros(len(v), 3)


def test_a_network_is_asked_where_it_lies_and_answers_on_the_cpu() -> None:
    plane, features = DataSpec((2,), "vector"), Recording()
    reference = Reference(plane, Split(torch.randn(20, 2)), "points")
    device = torch.device("meta")
    evaluator = Evaluator({}, features, reference, named=True, device=device)
    found = evaluator.prober.features_at(torch.randn(20, 2))
    assert found.device.type == "cpu"
    assert features.asked_on == [device] == [next(features.net.parameters()).device]

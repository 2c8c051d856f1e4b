"""SSIM: 1 for equal images, the formula of one window by hand, windows that fit the image."""

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.ssim import StructuralSimilarity, similarity, window_weights


def images(side: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(seed)) - 1


def spec(side: int) -> DataSpec:
    return DataSpec((1, side, side), "image", (-1.0, 1.0), 256)


@pytest.mark.parametrize(("side", "window"), [(8, 7), (28, 11)])
def test_equal_images_score_one_and_the_window_is_said(side: int, window: int) -> None:
    x = images(side)
    metric = StructuralSimilarity()
    metric.update(Probe(spec(side), {"real": lambda: x, "reconstruction": lambda: x.clone()}))
    assert float(metric.compute()) == pytest.approx(1.0, abs=1e-12)
    assert metric.params()["window"] == window


def test_one_uniform_window_by_hand() -> None:
    """A 7x7 image is one window; its values are counted from black, which is stored as 0."""
    x, y = images(7), images(7, 1)
    peak = 2 * 255 / 256
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    a, b = (values.flatten(1).double() + 1 - 1 / 256 for values in (x, y))
    ma, mb = a.mean(1), b.mean(1)
    va, vb, vab = (a * a).mean(1) - ma**2, (b * b).mean(1) - mb**2, (a * b).mean(1) - ma * mb
    expected = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    torch.testing.assert_close(similarity(x, y, spec(7)), expected, rtol=1e-9, atol=1e-12)


def test_noise_lowers_it_and_it_is_symmetric() -> None:
    x, noise = images(28), images(28, 1)
    values = [float(similarity(x, x + level * noise, spec(28)).mean()) for level in (0.05, 0.2, 1.0)]
    assert 1 > values[0] > values[1] > values[2]
    torch.testing.assert_close(similarity(x, noise, spec(28)), similarity(noise, x, spec(28)))


def test_tiny_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="7 pixels"):
        similarity(images(6), images(6), spec(6))


def test_a_gaussian_window_weighs_the_middle_and_borders_are_left_out() -> None:
    """Of a 12x12 image 4 windows lie inside; the first one by hand."""
    x, y = images(12)[:1], images(12, 1)[:1]
    weights = window_weights(spec(12))
    assert weights.shape == (11, 11)
    assert float(weights[5, 6] / weights[5, 5]) == pytest.approx(2.718281828459045 ** (-1 / 4.5))
    parts = [
        similarity(x[..., i : i + 11, j : j + 11], y[..., i : i + 11, j : j + 11], spec(11))
        for i in (0, 1)
        for j in (0, 1)
    ]
    assert float(similarity(x, y, spec(12))) == pytest.approx(float(torch.stack(parts).mean()), rel=1e-12)


def stored(height: int, width: int, channels: int, k: int) -> Tensor:
    """(1, C, H, W) of whole numbers 0 … 255 by a formula, so that another program can make the same."""
    i, j, c = torch.meshgrid(torch.arange(height), torch.arange(width), torch.arange(channels), indexing="ij")
    return ((7 * i * i + 13 * j + 3 * i * j + 29 * c + k * (i * j * j + 5 * i)) % 256).movedim(-1, 0)[None]


# skimage.metrics.structural_similarity (scikit-image 0.26.0) of image 0 with image 1, with (3 image 0 + image 1) // 4,
# with 200 everywhere, and of 100 everywhere with 200: data_range=255, channel_axis=2, use_sample_covariance=False, and
# gaussian_weights=True, sigma=1.5 from 11 pixels on, else win_size=7.
CONSTANTS = 0.8000260066178394
PEER = {
    (16, 12, 1): (-0.32246726477853943, 0.8901147157544785, 0.009383727609000844, CONSTANTS),
    (11, 11, 3): (-0.20983167695421168, 0.9034429902083181, 0.009328860319307441, CONSTANTS),
    (8, 9, 1): (0.08122421853446628, 0.9275900492175674, 0.011010777055225707, CONSTANTS),
    (8, 8, 3): (0.09384419730756456, 0.9287056102819434, 0.011757586176420068, CONSTANTS),
}


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("size", PEER)
def test_values_are_scikit_image_s_whatever_the_range(
    size: tuple[int, int, int], value_range: tuple[float, float]
) -> None:
    height, width, channels = size
    data = DataSpec((channels, height, width), "image", value_range, 256)
    a, b = (stored(*size, k) for k in (0, 1))
    pairs = ((a, b), (a, (3 * a + b) // 4), (a, torch.full_like(a, 200)), (torch.full_like(a, 100), 0 * a + 200))
    found = [float(similarity(*(data.scale(v).double() for v in pair), data)) for pair in pairs]
    assert found == pytest.approx(PEER[size], abs=1e-5)  # model values are float32
    assert found[-1] == pytest.approx((2 * 100 * 200 + 2.55**2) / (100**2 + 200**2 + 2.55**2), abs=1e-6)

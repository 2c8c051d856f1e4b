"""Encoded images to pixels: the written rules, against arithmetic on the pixels that were encoded."""

from __future__ import annotations

import numpy as np
import pytest
from image_cases import BAD, SIDE, encoded, noise
from PIL import Image

from genkit.data.images.decoding import BadImage, decode, read_header
from genkit.data.images.framing import Frame, larger

COLOUR = noise(9, SIDE, 0)
GREY = noise(9, SIDE, 1, channels=1)
X, G = np.asarray(COLOUR), np.asarray(GREY)
ALPHA = np.asarray(noise(9, SIDE, 2, channels=1))
LUMA = np.array([299, 587, 114]) / 1000


def with_alpha() -> Image.Image:
    return Image.fromarray(np.dstack([X, ALPHA]))


def over_white() -> np.ndarray:
    a = ALPHA[:, :, None] / 255
    return X * a + 255 * (1 - a)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(COLOUR, exif=exif)


def palette() -> bytes:
    """Two colours, of which the second is transparent."""
    image = Image.fromarray((G > 127).astype(np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    return encoded(image, transparency=1)


WIDE = np.arange(9 * SIDE, dtype=np.uint16).reshape(9, SIDE) * 600
CASES = {  # name -> (bytes, channels, what the pixels are, how far they may be off)
    "PNG": (encoded(COLOUR), 3, X, 0),
    "BMP": (encoded(COLOUR, "BMP"), 3, X, 0),
    "TIFF": (encoded(COLOUR, "TIFF"), 3, X, 0),
    "lossless WebP": (encoded(COLOUR, "WEBP", lossless=True), 3, X, 0),
    "grey": (encoded(GREY), 1, G[:, :, None], 0),
    "grey to colour": (encoded(GREY), 3, np.dstack([G] * 3), 0),
    "colour to grey": (encoded(COLOUR), 1, (X @ LUMA)[:, :, None], 1),
    "alpha over white": (encoded(with_alpha()), 3, over_white(), 1),
    "palette": (palette(), 3, np.where((G > 127)[:, :, None], 255, [10, 20, 30]), 0),
    "16 bits: the high byte": (encoded(Image.fromarray(WIDE)), 1, (WIDE >> 8)[:, :, None], 0),
    "EXIF 6: turned right": (turned(6), 3, np.rot90(X, -1), 0),
    "EXIF 2: mirrored": (turned(2), 3, X[:, ::-1], 0),
    "first frame": (encoded(GREY, "GIF", save_all=True, append_images=[noise(9, SIDE, 5, 1)]), 1, G[:, :, None], 0),
    "first page": (encoded(COLOUR, "TIFF", save_all=True, append_images=[noise(5, 5, 5)]), 3, X, 0),
    "CMYK": (encoded(COLOUR.convert("CMYK"), "TIFF"), 3, X, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_pixels_follow_the_rules(name):
    data, channels, wanted, off = CASES[name]
    pixels = decode(data, channels)
    assert pixels.dtype == np.uint8
    assert pixels.shape == wanted.shape
    assert np.abs(pixels - np.asarray(wanted, dtype=np.float64)).max() <= off
    header = read_header(data)
    assert (header.height, header.width) == wanted.shape[:2]


@pytest.mark.parametrize("name", BAD)
def test_bad_images_have_a_reason(name):
    data, reason = BAD[name]
    with pytest.raises(BadImage, match=reason if reason != "no image" else "not an image"):
        decode(data, 3)


def test_jpeg_is_the_same_with_and_without_the_quick_decoder(monkeypatch):
    import genkit.data.images.decoding as decoding

    images = [encoded(noise(17, 23, seed, channels), "JPEG", quality=90) for seed in range(3) for channels in (1, 3)]
    before = [decode(data, channels) for data in images for channels in (1, 3)]
    monkeypatch.setattr(decoding, "_simplejpeg", lambda: None)
    after = [decode(data, channels) for data in images for channels in (1, 3)]
    assert all((one == other).all() for one, other in zip(before, after, strict=True))


def test_a_frame_shows_the_middle():
    """A bright band in the middle third of a wide image is all that a square frame shows."""
    wide = np.zeros((16, 48, 3), dtype=np.uint8)
    wide[:, 16:32] = 255
    assert (Frame(16, 16).apply(wide) == 255).all()
    assert (Frame(8, 8, interpolation="box").apply(wide) == 255).all()
    squeezed = Frame(16, 16, crop="none", interpolation="box").apply(wide)
    assert squeezed[:, 6:10].min() == 255
    assert squeezed[:, :5].max() == 0


def test_resizing_keeps_the_mean():
    """A filter that looks at single pixels would take one of the two values of a checkerboard."""
    board = (255 * (np.indices((64, 64)).sum(0) % 2)).astype(np.uint8)[:, :, None]
    for interpolation in ("bicubic", "lanczos", "bilinear", "box"):
        small = Frame(8, 8, interpolation=interpolation).apply(board)
        assert np.abs(small.astype(float) - 127.5).max() <= 3, interpolation


def test_an_image_of_the_size_is_left_as_it_is():
    assert (Frame(9, SIDE).apply(X) == X).all()
    assert Frame(32, 16, crop="random").stored == (larger(32), larger(16)) == (36, 18)

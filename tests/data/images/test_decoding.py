"""Encoded images to pixels: the written rules, against arithmetic on the pixels that were encoded."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from image_cases import BAD, SIDE, encoded, noise
from PIL import Image

from genkit.data.images import decoding
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


def jpeg(seed: int, height: int = 17, width: int = 23, mode: str = "RGB", **options: object) -> bytes:
    return encoded(noise(height, width, seed).convert(mode), "JPEG", **options)


def oriented_by_xmp() -> bytes:
    """XMP is the other place where a camera may note how it was held."""
    return jpeg(9, xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>')


def with_comment(data: bytes, size: int) -> bytes:
    """A JPEG with a long comment in front of all else."""
    return data[:2] + b"\xff\xfe" + struct.pack(">H", size + 2) + bytes(size) + data[2:]


def oriented_by_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(8, exif=exif)


JPEGS = {  # every kind that the quick decoder reads, and those that it must leave to Pillow
    **{f"quality {q}": jpeg(1, quality=q) for q in (20, 75, 95)},
    **{f"subsampling {s}": jpeg(2, subsampling=s) for s in (0, 1, 2)},
    "one pixel": jpeg(3, 1, 1),
    "progressive": jpeg(3, progressive=True),
    "restart markers": jpeg(4, restart_marker_blocks=1),
    "grey": jpeg(5, mode="L"),
    "CMYK": jpeg(6, mode="CMYK"),
    "stored as RGB": jpeg(7, keep_rgb=True),
    **{f"EXIF {o}": oriented_by_exif(o) for o in (1, 3, 6)},
    "EXIF behind a long comment": with_comment(with_comment(oriented_by_exif(8), 65_000), 65_000),
    "XMP orientation": oriented_by_xmp(),
    "cut short": jpeg(10)[:-100],
    "without its last bytes": jpeg(10)[:-2],
    "bytes too many": jpeg(10)[:-40] + bytes(30) + jpeg(10)[-40:],
    "nothing but a start": jpeg(10)[:20],
}


def outcome(data: bytes, channels: int) -> object:
    try:
        return read_header(data), decode(data, channels).tolist()
    except BadImage as error:
        return str(error)


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_the_same_with_and_without_the_quick_decoder(monkeypatch, name, channels):
    """Pixels, size, and the reason of a refusal."""
    pytest.importorskip("simplejpeg")
    quick = outcome(JPEGS[name], channels)
    monkeypatch.setattr(decoding, "_simplejpeg", lambda: None)
    assert outcome(JPEGS[name], channels) == quick


def test_damaged_jpeg_is_the_same_with_and_without_the_quick_decoder(monkeypatch):
    """What one reads in spite of an odd byte, the other reads to the same pixels."""
    pytest.importorskip("simplejpeg")
    draw = np.random.default_rng(0)
    damaged = []
    for data in [jpeg(20), jpeg(21, mode="L"), jpeg(22, progressive=True)] * 40:
        changed = bytearray(data)
        changed[draw.integers(2, len(data))] = draw.integers(256)
        damaged.append(bytes(changed))
    quick = [outcome(data, 3) for data in damaged]
    assert {str, tuple} == {type(found) for found in quick}  # some are refused, some are read
    monkeypatch.setattr(decoding, "_simplejpeg", lambda: None)
    assert [outcome(data, 3) for data in damaged] == quick


def test_the_quick_decoder_is_what_reads_plain_jpeg(monkeypatch):
    pytest.importorskip("simplejpeg")
    monkeypatch.setattr(decoding, "_opened", None)  # Pillow is not asked
    assert decode(JPEGS["quality 75"], 3).shape == (17, 23, 3)
    assert decode(JPEGS["grey"], 1).shape == (17, 23, 1)


def test_jpeg_orientation_of_exif_and_xmp_is_applied():
    for data in (oriented_by_xmp(), JPEGS["EXIF 6"], JPEGS["EXIF behind a long comment"]):
        assert decode(data, 3).shape == (23, 17, 3)


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

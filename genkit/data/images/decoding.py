"""Encoded images to pixels by written rules: the same bytes give the same pixels on every machine.

JPEG, PNG, WebP, BMP, GIF and TIFF are told by their content, never by their name. Of several frames the first counts.

* Orientation: what EXIF or XMP says about turning and mirroring is applied.
* Palettes become the colours that they name.
* Alpha: laid over white.
* 16 bits: the high byte of each value.
* CMYK: to RGB by Pillow's formula; a colour profile is not applied.
* Colour to grey: ITU-R 601-2 luma; grey to colour: three equal channels.

What has no such rule (32-bit float, Lab) and what is larger than LARGEST_PIXELS is refused before it is decoded. JPEG
is decoded by `simplejpeg` where it is installed (the extra `jpeg`), several times as fast and to the same pixels;
where that is not certain, Pillow decodes.
"""

from __future__ import annotations

import importlib.util
import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
LARGEST_PIXELS = 50_000_000  # of one image: 200 MB where Pillow holds it
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV")
WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N")
JPEG = b"\xff\xd8\xff"
TURNED = 0x0112  # the EXIF tag of the orientation
TURNS = (5, 6, 7, 8)  # its values that exchange width and height
MAY_BE_TURNED = (b"Exif\0", b"tiff:Orientation")  # EXIF and XMP: the two places where an orientation may stand
PLAIN_JPEG = ("Gray", "YCbCr", "RGB")
# What damaged bytes make the decoders raise.
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error)
DAMAGE_TOO = (*DAMAGE, OverflowError, ZeroDivisionError, NotImplementedError, RuntimeError)


class BadImage(Exception):
    """Bytes that are no image, or one that cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Header:
    """The size of an image as it is shown, and whether it is grey."""

    width: int
    height: int
    grey: bool


def read_header(data: bytes) -> Header:
    """The header of an encoded image. Raises BadImage."""
    if (jpeg := _plain_jpeg(data)) is not None:
        return jpeg
    with _opened(data) as image:
        turned = image.getexif().get(TURNED) in TURNS
        width, height = image.size[::-1] if turned else image.size
        return Header(width, height, image.mode in GREY)


def decode(data: bytes, channels: int) -> Pixels:
    """The pixels (H, W, C) of an encoded image, C = 1 or 3. Raises BadImage."""
    if (header := _plain_jpeg(data)) is not None and header.grey == (channels == 1):
        quick = _decoded_jpeg(data, channels)
        if quick is not None:
            return quick
    with _opened(data) as image:
        return as_pixels(_eight_bits(ImageOps.exif_transpose(image)), channels)


def as_pixels(image: Image.Image, channels: int) -> Pixels:
    """The pixels (H, W, C) of an image, C = 1 or 3."""
    mode = "L" if channels == 1 else "RGB"
    return np.atleast_3d(np.asarray(image if image.mode == mode else image.convert(mode)))


def over_white(image: Image.Image) -> Image.Image:
    """An image with alpha laid over white."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))


def is_image(data: bytes) -> bool:
    """Tell whether the first bytes are those of a format that is read."""
    starts = (JPEG, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return data.startswith(starts) or (data[:2] == b"BM" and len(data) > 26) or data[:4] + data[8:12] == b"RIFFWEBP"


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image as grey or RGB of eight bits, by the rules above."""
    if image.mode in WIDE:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() >= 2**16:
            raise BadImage("values outside of 16 bits, which have no stated range")
        return Image.fromarray((values >> 8).astype(np.uint8))
    grey = image.mode in GREY
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = over_white(image)
    return image.convert("L" if grey else "RGB")


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The image, whose pixels are not read yet; whatever goes wrong with it inside is a BadImage."""
    if not data:
        raise BadImage("an empty file")
    _register_formats()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > LARGEST_PIXELS:
                raise BadImage(f"{width}x{height} pixels, more than {LARGEST_PIXELS:,}")
            if not width * height:
                raise BadImage("no pixels")
            if image.mode not in GREY + COLOUR:
                raise BadImage(f"pixels of mode {image.mode}, which have no stated range")
            yield image
    except UnidentifiedImageError as error:
        raise BadImage("damaged at its start" if is_image(data) else "not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise BadImage(f"more than {LARGEST_PIXELS:,} pixels") from error
    except MemoryError as error:
        raise BadImage("needs more memory than there is") from error
    except DAMAGE_TOO as error:
        raise BadImage(f"damaged ({_said(error)})") from error


def _plain_jpeg(data: bytes) -> Header | None:
    """The header of a JPEG that the quick decoder reads to the same pixels: grey or RGB, with no word of turning."""
    quick = _simplejpeg()
    if quick is None or not data.startswith(JPEG) or any(mark in data for mark in MAY_BE_TURNED):
        return None
    try:
        height, width, space, _ = quick.decode_jpeg_header(data)
    except ValueError:
        return None  # Pillow says what is wrong with it
    if space not in PLAIN_JPEG or not 0 < width * height <= LARGEST_PIXELS:
        return None
    return Header(width, height, space == "Gray")


def _decoded_jpeg(data: bytes, channels: int) -> Pixels | None:
    """The pixels by the quick decoder; None where it complains, for Pillow to judge: it is the one that all have."""
    quick = _simplejpeg()
    assert quick is not None
    try:
        return np.asarray(quick.decode_jpeg(data, colorspace="GRAY" if channels == 1 else "RGB"))
    except (ValueError, MemoryError):
        return None


@cache
def _simplejpeg() -> ModuleType | None:
    """The quick decoder, None where it is not installed."""
    if importlib.util.find_spec("simplejpeg") is None:
        return None
    import simplejpeg

    return simplejpeg


@cache
def _register_formats() -> None:
    """Pillow loads the readers of rarer formats only when nothing else fits, which a list of formats rules out."""
    Image.init()


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:80].rstrip(".").lower() or type(error).__name__

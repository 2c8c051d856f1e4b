"""General-purpose compressors of the same data: what a model of it is measured against.

Each is given the bytes of all examples together, so it may use what they have in common. Values of two levels are also
packed, eight to a byte, and the smaller file counts. PNG gets one tall picture of all examples, in bits where there are
two levels, and is for grey and colour images alone.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LEVELS = 256  # of a byte

Values = NDArray[np.generic]
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "lzma": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def general_sizes(v: Values, levels: int, image: bool) -> dict[str, int]:
    """Bytes that each compressor needs for stored values v (N, *shape), channels first.

    Args:
        v: Integers in 0 … levels − 1.
        levels: Above 256 values take as many bytes as their type has.
        image: Whether the shape is (C, H, W).
    """
    plain = np.ascontiguousarray(v, dtype=np.uint8) if levels <= LEVELS else np.ascontiguousarray(v)
    forms = [plain.tobytes(), *([np.packbits(plain.astype(np.uint8)).tobytes()] if levels == 2 else [])]
    sizes = {name: min(len(compress(form)) for form in forms) for name, compress in COMPRESSORS.items()}
    if image and levels <= LEVELS and v.shape[1] in (1, 3):
        sizes["png"] = png_size(plain.astype(np.uint8), levels)
    return sizes


def png_size(v: NDArray[np.uint8], levels: int) -> int:
    """Bytes of a PNG of grey or colour images (N, C, H, W) uint8 on top of one another."""
    from PIL import Image

    stacked = v.transpose(0, 2, 3, 1).reshape(-1, v.shape[3], v.shape[1])
    picture = Image.fromarray(stacked.squeeze(2) if v.shape[1] == 1 else stacked)
    if levels == 2:
        picture = Image.fromarray(stacked.squeeze(2).astype(bool)) if v.shape[1] == 1 else picture
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return len(file.getvalue())

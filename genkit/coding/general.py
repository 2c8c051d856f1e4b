"""General-purpose compressors: what a model of the data is measured against.

Each is given the bytes of all examples together, so it may use what they have in common. PNG gets one tall picture of
all of them, in bits where there are two levels.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "lzma": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def general_sizes(forms: Sequence[bytes]) -> dict[str, int]:
    """Bytes that each compressor needs for the same data in several forms, of the form that suits it best."""
    return {name: min(len(compress(form)) for form in forms) for name, compress in COMPRESSORS.items()}


def png_size(v: NDArray[np.uint8], levels: int) -> int:
    """Bytes of a PNG of grey or colour images (N, C, H, W) on top of one another, C of 1 or 3."""
    from PIL import Image

    stacked = v.transpose(0, 2, 3, 1).reshape(-1, v.shape[3], v.shape[1])
    if v.shape[1] == 1:
        stacked = stacked[..., 0].astype(bool) if levels == 2 else stacked[..., 0]
    file = io.BytesIO()
    Image.fromarray(stacked).save(file, format="PNG", optimize=True)
    return len(file.getvalue())

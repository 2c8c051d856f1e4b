"""Compressors of the standard library, primed with the training text: a floor that costs seconds.

What a compressor needs for the test text once it has seen the training text is the difference of two sizes, C(training
+ test) − C(training). zlib looks back 32 KiB, bz2 sorts blocks of 900 kB, lzma looks back 64 MiB.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable

from genkit.errors import ConfigError

SEEN = 2**21  # bytes of the training text, the last ones, that a compressor is shown
LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**26}]

COMPRESSORS: dict[str, Callable[[bytes], int]] = {
    "zlib": lambda data: len(zlib.compress(data, 9)),
    "bz2": lambda data: len(bz2.compress(data, 9)),
    "lzma": lambda data: len(lzma.compress(data, lzma.FORMAT_RAW, filters=LZMA)),
}


def primed_size(name: str, train: bytes, test: bytes) -> int:
    """The bytes that a compressor adds for the test text after the training text, 1 or more.

    Args:
        name: "zlib", "bz2" or "lzma".
        train: Of which the last 2 MiB are seen.
        test: One byte or more.

    Raises:
        ConfigError: no such compressor.
    """
    if name not in COMPRESSORS:
        raise ConfigError(f"{name}: no compressor; there are {', '.join(COMPRESSORS)}")
    size, seen = COMPRESSORS[name], train[-SEEN:]
    return max(size(seen + test) - size(seen), 1)

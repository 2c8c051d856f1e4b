"""The IDX format of the original MNIST files, plain or gzipped.

A file is a big-endian header, then the values: two zero bytes, the type (8: uint8), the number d of dimensions, d
sizes of 32 bits, and as many bytes as their product (LeCun, Cortes and Burges, yann.lecun.com/exdb/mnist).
"""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from genkit.errors import DataError

UINT8 = 8
LARGEST = 2**31  # bytes: a header that promises more is damaged


def read_idx(path: Path, dims: int) -> np.ndarray:
    """The uint8 array of `dims` dimensions in an IDX file; a name ending in .gz is decompressed.

    Raises DataError with the path where the file is damaged or holds something else.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic, shape = read_header(file.read(4 + 4 * dims), dims)
            if magic != (0, UINT8, dims) or prod(shape) > LARGEST:
                raise DataError(
                    f"{path}: not an IDX file of {dims}-dimensional uint8 data; put the original file there"
                )
            values = file.read(prod(shape) + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}); put the original file there") from error
    if len(values) != prod(shape):
        raise DataError(f"{path}: the header promises {prod(shape):,} bytes, the file has another size; fetch it again")
    return np.frombuffer(bytearray(values), dtype=np.uint8).reshape(shape)


def read_header(header: bytes, dims: int) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """(zeros, type, number of dimensions) and the sizes."""
    zeros, kind, count, *shape = struct.unpack(f">HBB{dims}I", header)
    return (zeros, kind, count), tuple(shape)

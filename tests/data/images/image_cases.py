"""Small images of every kind, encoded, and folders of them."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog")
SIDE = 12


def noise(height: int, width: int, seed: int, channels: int = 3) -> Image.Image:
    """An image of random pixels."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values[:, :, 0] if channels == 1 else values)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def class_files(n: int = 20, side: int = SIDE) -> dict[str, bytes]:
    """Name to content of n images in two class folders."""
    return {f"{CLASSES[i % 2]}/{i:03}.png": encoded(noise(side, side, i)) for i in range(n)}


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def bomb(width: int, height: int) -> bytes:
    """A PNG of these declared sides and no pixels behind them."""

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")


def damaged_png() -> bytes:
    data = bytearray(encoded(noise(SIDE, SIDE, 1)))
    data[60:90] = b"x" * 30
    return bytes(data)


BAD = {  # name -> (content, part of the reason)
    "zero.png": (b"", "empty"),
    "text.png": (b"hello", "no image"),
    "cut.jpg": (encoded(noise(60, 60, 2), "JPEG")[:1200], "damaged"),
    "bomb.png": (bomb(30_000, 30_000), "50,000,000 pixels"),
    "crc.png": (damaged_png(), "damaged"),
    "float.tiff": (encoded(noise(SIDE, SIDE, 3).convert("F"), "TIFF"), "mode F"),
}


def messy_folder(root: Path) -> set[str]:
    """A folder of good, odd and bad files; returns the names of the bad ones."""
    good = {
        **class_files(),
        "odd/cmyk.jpg": encoded(noise(SIDE, SIDE, 40).convert("CMYK"), "JPEG"),
        "odd/grey16.png": encoded(Image.fromarray(np.arange(144, dtype=np.uint16).reshape(12, 12) * 400)),
        "odd/palette.png": encoded(noise(SIDE, SIDE, 41).convert("P")),
        "odd/frames.gif": encoded(noise(SIDE, SIDE, 42), "GIF", save_all=True, append_images=[noise(SIDE, SIDE, 43)]),
        "odd/one.png": encoded(noise(1, 1, 44)),
        "odd/ünï.png": encoded(noise(SIDE, SIDE, 45)),
        "odd/new\nline.png": encoded(noise(SIDE, SIDE, 46)),
        "odd/A.png": encoded(noise(SIDE, SIDE, 47)),
        "odd/a.PNG": encoded(noise(SIDE, SIDE, 48)),
        "odd/noname.dat": encoded(noise(SIDE, SIDE, 49)),
        "notes.txt": b"no image, and says so",
        ".hidden.png": b"x",
        ".git/x.png": b"x",
    }
    write_folder(root, good)
    write_folder(root, {name: data for name, (data, _) in BAD.items()})
    os.symlink(".", root / "loop")
    os.symlink("nowhere", root / "dead.png")
    os.mkfifo(root / "pipe.png")
    return {*BAD, "dead.png", "pipe.png"}

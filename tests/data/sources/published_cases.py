"""Tiny stand-ins of the published image benchmarks, in every form that they are published in."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

Files = dict[str, bytes]
N_TRAIN, N_TEST = 40, 10


class Data:
    """Images (n, H, W, C) and labels (n,) of both splits; every image differs from every other."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.integers(0, 256, (N_TRAIN + N_TEST, *shape), dtype=np.uint8)
        self.y = np.arange(len(self.x)) % classes
        self.coarse = self.y % 7

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        part = slice(0, N_TRAIN) if name == "train" else slice(N_TRAIN, None)
        return self.x[part], self.y[part], self.coarse[part]


CIFAR10, CIFAR100, GREY = Data((32, 32, 3), 10), Data((32, 32, 3), 100), Data((28, 28, 1), 10)
SVHN = CIFAR10


def planes(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), -1)


def batches(data: Data) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The five files of CIFAR-10's training split and the one of its test split."""
    x, y, _ = data.split("train")
    parts = np.split(np.arange(N_TRAIN), 5)
    found = {f"data_batch_{i + 1}": (x[part], y[part]) for i, part in enumerate(parts)}
    return found | {"test_batch": data.split("test")[:2]}


def cifar10_binary() -> Files:
    return {
        f"{name}.bin": np.hstack([y[:, None].astype(np.uint8), planes(x)]).tobytes()
        for name, (x, y) in batches(CIFAR10).items()
    }


def python2_pickle(x: np.ndarray, labels: Mapping[str, list[int]]) -> bytes:
    """As Python 2 and NumPy 1 wrote it: texts are byte strings, an array is rebuilt by `numpy.core.multiarray`."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)

    flat = planes(x)
    rebuilt = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"tR"
    kind = b"cnumpy\ndtype\n(" + text(b"u1") + number(0) + number(1) + b"tR("
    kind += number(3) + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + number(0) + b"tb"
    state = (
        b"(" + number(1) + number(len(flat)) + number(flat.shape[1]) + b"\x86" + kind + b"\x89" + text(flat.tobytes())
    )
    found = b"\x80\x02}(" + text(b"data") + rebuilt + state + b"tb"
    for key, values in labels.items():
        found += text(key.encode()) + b"](" + b"".join(map(number, values)) + b"e"
    return found + text(b"batch_label") + text(b"training batch 1 of 5") + b"u."


def cifar10_python2() -> Files:
    return {name: python2_pickle(x, {"labels": y.tolist()}) for name, (x, y) in batches(CIFAR10).items()}


def cifar10_pickled(protocol: int, order: str = "C") -> Files:
    """As this Python writes it."""
    return {
        name: pickle.dumps(
            {b"data": np.asarray(planes(x), order=order), b"labels": y.tolist(), "filenames": ["a.png"]},  # type: ignore[call-overload]
            protocol,
        )
        for name, (x, y) in batches(CIFAR10).items()
    }


def cifar100_binary() -> Files:
    found = {}
    for split in ("train", "test"):
        x, y, coarse = CIFAR100.split(split)
        found[f"{split}.bin"] = np.hstack([coarse[:, None], y[:, None], planes(x)]).astype(np.uint8).tobytes()
    return found


def cifar100_python2() -> Files:
    found = {}
    for split in ("train", "test"):
        x, y, coarse = CIFAR100.split(split)
        found[split] = python2_pickle(x, {"fine_labels": y.tolist(), "coarse_labels": coarse.tolist()})
    return found


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def idx_files(packed: bool = True, dot: str = "-") -> Files:
    found = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        x, y, _ = GREY.split(split)
        for name, array in ((f"{stem}-images{dot}idx3-ubyte", x[..., 0]), (f"{stem}-labels{dot}idx1-ubyte", y)):
            found[name + (".gz" if packed else "")] = gzip.compress(idx(array)) if packed else idx(array)
    return found


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def whole_npz(name: str, data: Data) -> Files:
    arrays = {f"{what}_{split}": data.split(split)[i] for split in ("train", "test") for i, what in enumerate("xy")}
    return {name: npz(**arrays)}


def kmnist_npz() -> Files:
    found = {}
    for split in ("train", "test"):
        x, y, _ = GREY.split(split)
        found[f"kmnist-{split}-imgs.npz"] = npz(arr_0=x[..., 0])
        found[f"kmnist-{split}-labels.npz"] = npz(arr_0=y.astype(np.uint8))
    return found


def svhn_matlab() -> Files:
    found = {}
    for split in ("train", "test"):
        x, y, _ = SVHN.split(split)
        file = io.BytesIO()
        savemat(file, {"X": x.transpose(1, 2, 3, 0), "y": np.where(y == 0, 10, y)[:, None]}, do_compression=True)
        found[f"{split}_32x32.mat"] = file.getvalue()
    return found


def pictures(data: Data, classes: Callable[[int], str]) -> Files:
    """PNG files in class folders below train and test."""
    found = {}
    for split in ("train", "test"):
        x, y, _ = data.split(split)
        for i, (image, label) in enumerate(zip(x, y.tolist(), strict=True)):
            file = io.BytesIO()
            Image.fromarray(image.squeeze()).save(file, "PNG")
            found[f"{split}/{classes(label)}/{i:02}.png"] = file.getvalue()
    return found


def put(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def put_zip(path: Path, files: Files, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(inside + name, data)
    return path


def put_tar(path: Path, files: Files, inside: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info: Any = tarfile.TarInfo(inside + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path

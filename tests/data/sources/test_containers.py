"""The same JPEG pictures in folders, archives, an array of their pixels and rows of Parquet: equal prepared data."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.data.content_split import NAMES
from genkit.data.prepared_images import PreparedImages
from genkit.data.sources.arrays import Arrays
from genkit.data.sources.hub import Hub
from genkit.data.sources.images import Images

CLASSES = ("ant", "bee", "cow")
N, SIDE = 30, 16
Files = dict[str, bytes]


def pictures(n: int = N, first: int = 0) -> Files:
    """Smooth pictures, as photographs are, of three classes by turns."""
    files = {}
    for i in range(first, first + n):
        coarse = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        data = io.BytesIO()
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(data, "JPEG", quality=80)
        files[f"{CLASSES[i % 3]}/{i:03}.jpg"] = data.getvalue()
    return files


def pixels(files: Files) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in files.values()])


def labels(files: Files) -> list[str]:
    return [name.split("/")[0] for name in files]


Splits = dict[str, Files]  # by the name of the split, "" where there are none


def folder(at: Path, splits: Splits) -> PreparedImages:
    for split, files in splits.items():
        for name, data in files.items():
            path = at / "folder" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return Images(str(at / "folder"))


def archive(at: Path, splits: Splits) -> PreparedImages:
    with zipfile.ZipFile(at / "images.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for split, files in splits.items():
            for name, data in files.items():
                file.writestr(f"{split}/{name}".lstrip("/"), data)
    return Images(str(at / "images.zip"))


def array(at: Path, splits: Splits, number: bool = False) -> PreparedImages:
    arrays: dict[str, np.ndarray] = {}
    for split, files in splits.items():
        end = f"_{split}" if split else ""
        arrays[f"x{end}"] = pixels(files)
        arrays[f"y{end}"] = np.array([CLASSES.index(name) if number else name for name in labels(files)])
    np.savez(at / "images.npz", **arrays)  # type: ignore[arg-type]
    return Arrays(str(at / "images.npz"))


def rows(at: Path, splits: Splits) -> PreparedImages:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (at / "rows").mkdir()
    for split, files in splits.items():
        images = [{"bytes": data, "path": name} for name, data in files.items()]
        table = pa.table({"image": images, "label": labels(files)})
        parquet.write_table(table, at / "rows" / f"{split or 'train'}-00000-of-00001.parquet")
    return Hub(str(at / "rows"))


CONTAINERS: dict[str, Callable[[Path, Splits], PreparedImages]] = {
    "folder": folder,
    "zip": archive,
    "npz": array,
    "npz with numbers": lambda at, splits: array(at, splits, number=True),
    "parquet": rows,
}
PARTS: dict[str, Splits] = {"one pile": {"": pictures()}, "splits": {"train": pictures(), "test": pictures(6, first=N)}}


@pytest.mark.parametrize("container", [name for name in CONTAINERS if name != "folder"])
@pytest.mark.parametrize("parts", PARTS)
def test_every_container_of_the_same_pictures_is_the_same_data(tmp_path: Path, container: str, parts: str) -> None:
    splits = PARTS[parts]
    wanted, data = folder(tmp_path, splits), CONTAINERS[container](tmp_path, splits)
    assert data.prepared.folder != wanted.prepared.folder  # each was prepared from its own files
    assert data.spec == wanted.spec
    for name in NAMES:
        one, other = wanted.split(name), data.split(name)
        assert one.fingerprint == other.fingerprint, name
        index = torch.arange(len(one))
        assert torch.equal(one.take(index).x, other.take(index).x)
        assert torch.equal(one.take(index).y, other.take(index).y)
    assert sum(len(data.split(name)) for name in NAMES) == sum(map(len, splits.values()))

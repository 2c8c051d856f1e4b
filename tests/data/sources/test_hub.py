"""Hugging Face datasets on disk: Parquet and Arrow files as `datasets` writes them, read without it."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genkit.data.images import row_images
from genkit.data.sources.arrays import Arrays
from genkit.data.sources.hub import Hub
from genkit.errors import ConfigError, DataError, GenkitError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N = 40
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (N, 6, 5, 3), dtype=np.uint8)
Y = RNG.integers(0, 3, N)
NAMES = ["ant", "bee", "cow"]


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return data.getvalue()


def table(low: int = 0, high: int = N, names: list[str] | None = None, **columns: Any) -> Any:
    images = [{"bytes": png(x), "path": None} for x in X[low:high]]
    found = pa.table({"image": images, "label": pa.array(Y[low:high]), "caption": ["a"] * (high - low), **columns})
    if names is None:
        return found
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def parquet(path: Path, *parts: Any, name: str = "train") -> Path:
    (path / "data").mkdir()
    for i, part in enumerate(parts):
        pq.write_table(part, path / "data" / f"{name}-{i:05d}-of-{len(parts):05d}.parquet", row_group_size=7)
    return path / "data"


def arrow(path: Path, part: Any, file: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(path, part.schema) as writer:
        writer.write_table(part, max_chunksize=7)
    return path


def saved(path: Path) -> Path:
    """As `save_to_disk` writes a dataset of one split."""
    arrow(path / "saved" / "train" / "data-00000-of-00001.arrow", table())
    (path / "saved" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    return path / "saved"


def plain_bytes(path: Path) -> Path:
    return parquet(path, pa.table({"img": [png(x) for x in X], "label": [str(y) for y in Y]}))


# The same images and labels, as they may lie on disk.
FORMS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "parquet": (lambda path: parquet(path, table()), {}),
    "two files": (lambda path: parquet(path, table(0, 25), table(25)), {}),
    "one file": (lambda path: parquet(path, table()) / "train-00000-of-00001.parquet", {}),
    "save_to_disk": (saved, {}),
    "arrow file": (lambda path: arrow(path / "x.arrow", table(), file=True), {}),
    "bytes and texts": (plain_bytes, {}),
    "named columns": (
        lambda path: parquet(path, table(other=pa.array([b""] * N), kind=pa.array(Y)).drop(["label"])),
        {"image": "image", "labels": "kind"},
    ),
}


def prints(data: Arrays | Hub) -> list[str]:
    return [data.split(name).fingerprint for name in ("train", "val", "test")]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_images_give_the_same_splits_as_an_array(form, tmp_path, monkeypatch):
    monkeypatch.setattr(row_images, "ROWS", 3)
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    write, options = FORMS[form]
    data = Hub(str(write(tmp_path)), **options)
    assert prints(data) == prints(Arrays(str(tmp_path / "data.npz")))
    assert data.class_names == ("0", "1", "2")


def test_classes_have_the_names_and_numbers_of_the_features(tmp_path):
    names = ["wasp", *NAMES]
    data = Hub(str(parquet(tmp_path, table(names=names))))
    assert data.class_names == tuple(names)
    assert data.spec.num_classes == 4
    train = data.split("train")
    assert sorted(set(train.labels.tolist())) == sorted(set(Y.tolist()))


def test_splits_are_those_that_the_files_are_named_after(tmp_path):
    parquet(tmp_path, table(0, 25))
    pq.write_table(table(25, 30), tmp_path / "data" / "validation-00000-of-00001.parquet")
    pq.write_table(table(30), tmp_path / "data" / "test-00000-of-00001.parquet")
    data = Hub(str(tmp_path / "data"))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [25, 5, 10]


def without_bytes(path: Path) -> Path:
    images = [{"bytes": None, "path": "/etc/passwd"}] * N
    return parquet(path, table().set_column(0, "image", pa.array(images, IMAGE)))


def cut(path: Path) -> Path:
    file = parquet(path, table()) / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    return file


def cut_arrow(path: Path) -> Path:
    file = arrow(path / "x.arrow", table())
    file.write_bytes(file.read_bytes()[:2000])
    return file


def mixed(path: Path) -> Path:
    pq.write_table(table(), parquet(path, table()) / "extra.parquet")
    return path / "data"


def two_images(path: Path) -> Path:
    return parquet(path, table(back=pa.array([b"x"] * N), front=pa.array([b"x"] * N)).drop(["image"]))


def unlabelled(path: Path) -> Path:
    return parquet(path, table(names=NAMES).set_column(1, "label", pa.array([-1] * N)))


BAD: dict[str, tuple[Callable[[Path], Path], dict[str, Any], type[GenkitError], str]] = {
    "nothing": (lambda path: path, {}, DataError, "no .parquet or .arrow files in it: give data.root=FOLDER"),
    "no image column": (lambda path: parquet(path, table().drop(["image"])), {}, DataError, "no column of images"),
    "two image columns": (two_images, {}, DataError, "images in back, front: name one, data.image="),
    "no such column": (lambda path: parquet(path, table()), {"labels": "kind"}, DataError, "data.labels=kind; it has"),
    "paths without bytes": (without_bytes, {}, DataError, "40 of 40 images cannot be used"),
    "cut": (cut, {}, DataError, "not a readable .parquet file"),
    "cut arrow": (cut_arrow, {}, DataError, "not a readable .arrow file"),
    "some of no split": (mixed, {}, DataError, "extra.parquet: of no split"),
    "labels of -1": (unlabelled, {}, DataError, "row 0 has the label -1, which is no class"),
    "both places": (lambda path: path, {"name": "owner/name"}, ConfigError, "give one of them"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_ends_in_one_line(case, tmp_path):
    write, options, error, words = BAD[case]
    with pytest.raises(error, match=words):
        Hub(str(write(tmp_path)), **options)
    assert not list((tmp_path / "cache" / "data").glob("*"))


def test_a_name_needs_the_library_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert Hub(str(parquet(tmp_path, table()))).spec.num_classes == 3
    with pytest.raises(ConfigError, match=r"needs datasets: pip install 'genkit-toolkit\[hf\]'"):
        Hub(name="owner/name")
    monkeypatch.setattr(row_images, "pa", None)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "other"))
    with pytest.raises(ConfigError, match=r"needs pyarrow: pip install 'genkit-toolkit\[hf\]'"):
        Hub(str(tmp_path / "data"))

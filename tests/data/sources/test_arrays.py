"""Arrays of the user's: every form of one set of images gives the same splits, and bad ones end in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from genkit.data import array_rows
from genkit.data.sources.arrays import Arrays
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, DataError, GenkitError

N = 60
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (N, 6, 5, 3), dtype=np.uint8)
Y = RNG.integers(0, 4, N)
V = (RNG.normal(size=(N, 3)) * [1000.0, 1.0, 0.01] + [5000.0, 0.0, 1.0]).astype(np.float32)


def to_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


def to_npy(path: Path, x: np.ndarray) -> Path:
    np.save(path / "x.npy", x)
    return path / "x.npy"


def packed(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path / "data.npz", **arrays)
    return path / "data.npz"


def tensors(path: Path, **arrays: Any) -> Path:
    safetensors.numpy.save_file(arrays, path / "data.safetensors")
    return path / "data.safetensors"


def labels_beside(path: Path) -> Path:
    np.save(path / "y.npy", Y[:, None])
    return to_npy(path, X)


# The same images and labels: how they are written, and the options that read them.
FORMS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "npz": (lambda path: to_npz(path, x=X, y=Y), {}),
    "other names": (lambda path: to_npz(path, images=X, labels=Y.astype(float)), {}),
    "names of Dhariwal and Nichol": (lambda path: to_npz(path, arr_0=X, arr_1=Y), {}),
    "compressed": (lambda path: packed(path, x=X, y=Y), {}),
    "channels first": (lambda path: to_npz(path, x=X.transpose(0, 3, 1, 2), y=Y), {}),
    "first index fastest": (lambda path: to_npz(path, x=np.asfortranarray(X), y=Y), {}),
    "both": (lambda path: packed(path, x=np.asfortranarray(X), y=Y), {}),
    "safetensors": (lambda path: tensors(path, x=X, y=Y), {}),
    "int64": (lambda path: to_npz(path, x=X.astype(np.int64), y=Y.astype("U3")), {}),
    "float32 in [0, 1]": (lambda path: to_npz(path, x=(X / 255).astype(np.float32), y=Y), {"range": (0.0, 1.0)}),
    "float16 in [-1, 1]": (lambda path: tensors(path, x=(X / 127.5 - 1).astype("f2"), y=Y), {"range": (-1.0, 1.0)}),
    "opaque": (lambda path: to_npz(path, x=np.concatenate([X, np.full_like(X[..., :1], 255)], 3), y=Y), {}),
    "labels in a file of their own": (labels_beside, {"labels": "y.npy"}),
}


def prints(data: Arrays) -> list[str]:
    return [data.split(name).fingerprint for name in ("train", "val", "test")]


@pytest.fixture
def expected(tmp_path: Path) -> list[str]:
    (tmp_path / "expected").mkdir()
    return prints(Arrays(str(to_npz(tmp_path / "expected", x=X, y=Y))))


@pytest.mark.parametrize("form", FORMS)
def test_the_same_images_give_the_same_splits(form, tmp_path, expected, monkeypatch):
    monkeypatch.setattr(array_rows, "BLOCK", 1000)  # 11 images
    monkeypatch.chdir(tmp_path)
    write, options = FORMS[form]
    data = Arrays(str(write(tmp_path)), **options)
    assert prints(data) == expected
    assert data.spec == DataSpec((3, 6, 5), "image", (-1.0, 1.0), 256, num_classes=4)
    assert data.class_names == ("0", "1", "2", "3")


def test_the_rows_are_those_of_the_array(tmp_path):
    data = Arrays(str(to_npz(tmp_path, x=X, y=Y)))
    found = set()
    for name in ("train", "val", "test"):
        split, names = data.split(name), data.prepared.source_names()[name]
        examples = split.between(0, len(split))
        for x, y, called in zip(examples.x.numpy(), examples.y, names, strict=True):
            i = int(called.removeprefix("x[").removesuffix("]"))
            found.add(i)
            assert (x.transpose(1, 2, 0) == X[i]).all()
            assert y == Y[i]
    assert found == set(range(N))


def test_splits_of_the_file_stay(tmp_path):
    arrays = {"x_train": X[:40], "y_train": Y[:40], "test_images": X[40:], "test_labels": Y[40:]}
    data = Arrays(str(to_npz(tmp_path, **arrays)))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [36, 4, 20]
    assert sorted(data.split("test").labels.tolist()) == sorted(Y[40:].tolist())


def test_grey_images_without_the_axis_of_channels(tmp_path):
    data = Arrays(str(to_npy(tmp_path, X[..., 0])))
    assert data.spec.shape == (1, 6, 5)
    assert data.spec.num_classes is None


def test_vectors_are_seen_standardised_and_stored_as_they_are(tmp_path):
    path = to_npz(tmp_path, x=V.astype(np.float64), y=Y)
    data = Arrays(str(path))
    train = data.split("train")
    v = train.between(0, len(train)).x
    x = data.spec.scale(v)
    assert v.dtype == x.dtype == torch.float32
    assert torch.allclose(x.double().mean(0), torch.zeros(3, dtype=torch.double), atol=1e-5)
    assert torch.allclose(x.double().std(0, correction=0), torch.ones(3, dtype=torch.double), atol=1e-5)
    assert torch.allclose(data.spec.unscale(x), v, rtol=1e-6)
    assert DataSpec.from_json(data.spec.to_json()) == data.spec
    stored = torch.cat([data.split(name).between(0, len(data.split(name))).x for name in ("train", "val", "test")])
    assert {tuple(row) for row in stored.tolist()} == {tuple(row) for row in V.tolist()}
    plain = Arrays(str(path), standardise=False)
    assert plain.spec == DataSpec((3,), "vector", num_classes=4)
    assert prints(plain) == prints(data)


def test_a_constant_column_and_one_of_huge_offset_stay_finite(tmp_path):
    v = np.stack([np.full(N, 7.0), 1e8 + np.arange(N) % 2, np.arange(N)], 1)
    data = Arrays(str(to_npy(tmp_path, v)))
    assert data.spec.scale(data.split("test").between(0, 3).x).isfinite().all()
    assert data.spec.kind.std[0] == 1.0


def test_examples_that_cannot_be_used_may_be_left_out(tmp_path):
    bad = X.astype(np.int16)
    bad[3, 0, 0, 0], bad[7, 1, 1, 1] = 256, -1
    path = to_npz(tmp_path, x=bad, y=Y)
    with pytest.raises(DataError, match=r"2 of 60 images cannot be used .*data.max_bad=2"):
        Arrays(str(path))
    data = Arrays(str(path), max_bad=2)
    assert sum(len(split) for split in data.splits.values()) == N - 2
    assert data.prepared.about["bad"] == [
        ["x[3]", "a value of 256 outside of 0 … 255"],
        ["x[7]", "a value of -1 outside of 0 … 255"],
    ]


def damaged(path: Path) -> Path:
    data = to_npz(path, x=X)
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    return data


def cut_tensors(path: Path) -> Path:
    data = tensors(path, x=X)
    data.write_bytes(data.read_bytes()[:-100])
    return data


def with_nan(path: Path) -> Path:
    v = V.copy()
    v[9, 1] = np.nan
    return to_npy(path, v)


# What is wrong: the file, the options, the error and its words.
BAD: dict[str, tuple[Callable[[Path], Path], dict[str, Any], type[GenkitError], str]] = {
    "no file": (lambda path: path / "none.npz", {}, DataError, "does not exist"),
    "a folder": (lambda path: path, {}, DataError, "a folder: give data.root=FILE"),
    "not arrays": (lambda path: path / "text.npz", {}, DataError, "not a readable .npz or .npy"),
    "cut": (damaged, {}, DataError, "not a readable .npz or .npy"),
    "cut safetensors": (cut_tensors, {}, DataError, "not a readable safetensors file"),
    "objects": (lambda path: to_npz(path, x=np.array([{}, {}])), {}, DataError, "pickled objects"),
    "no rows": (lambda path: to_npz(path, x=X[:0]), {}, DataError, r"x has the shape \(0, 6, 5, 3\)"),
    "a scalar": (lambda path: to_npz(path, x=np.float32(1)), {}, DataError, "no rows"),
    "five axes": (lambda path: to_npz(path, x=X[None]), {}, DataError, r"images are \(n, H, W, C\)"),
    "two channels": (lambda path: to_npz(path, x=X[..., :2]), {}, DataError, "with 1, 3 or 4 channels"),
    "complex": (lambda path: to_npz(path, x=X.astype(complex)), {}, DataError, "values of type complex128"),
    "complex vectors": (lambda path: to_npz(path, x=V.astype(complex)), {}, DataError, "store numbers, float32"),
    "no range": (lambda path: to_npz(path, x=X / 255), {}, DataError, r"give data.range=\[0,1\]"),
    "no known range": (lambda path: to_npz(path, x=X / 1.0), {}, DataError, r"give data.range=\[0,255\]"),
    "beyond its range": (lambda path: to_npz(path, x=X / 1.0), {"range": (0.0, 1.0)}, DataError, "60 of 60 images"),
    "an empty range": (lambda path: to_npz(path, x=X), {"range": (1.0, 1.0)}, ConfigError, "lo < hi"),
    "unknown names": (lambda path: to_npz(path, a=X, b=Y), {}, DataError, "It has a, b: call them x and y"),
    "too few labels": (lambda path: to_npz(path, x=X, y=Y[:-1]), {}, DataError, r"y: labels of shape \(59,\) for 60"),
    "one-hot labels": (lambda path: to_npz(path, x=X, y=np.eye(4)[Y]), {}, DataError, r"give one label for each"),
    "real labels": (lambda path: to_npz(path, x=X, y=Y + 0.5), {}, DataError, "whole numbers or texts"),
    "labels of some": (lambda path: to_npz(path, x_train=X, y_train=Y, x_test=X), {}, DataError, "some have none"),
    "no labels file": (lambda path: to_npz(path, x=X), {"labels": "none.npy"}, DataError, "none.npy: missing"),
    "two images": (lambda path: to_npz(path, x=X[:2]), {}, DataError, "cannot be divided"),
    "not finite": (
        with_nan,
        {},
        DataError,
        r"1 of 60 rows cannot be used, x\[9\] first \(a value that is",
    ),
    "flipped vectors": (lambda path: to_npz(path, x=V), {"flip": True}, ConfigError, "data.flip: is for images"),
    "vectors of two lengths": (
        lambda path: to_npz(path, x_train=V, x_test=V[:, :2]),
        {},
        DataError,
        "different lengths",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_ends_in_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.npz").write_text("no arrays")
    write, options, error, words = BAD[case]
    with pytest.raises(error, match=words):
        Arrays(str(write(tmp_path)), **options)
    assert not list((tmp_path / "cache" / "data").glob("*"))


def test_pickled_objects_are_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    np.save(tmp_path / "x.npy", np.array([Trap()] * 4, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled objects"):
        Arrays(str(tmp_path / "x.npy"))
    assert not (tmp_path / "executed").exists()

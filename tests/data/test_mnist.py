"""MNIST from files made by hand: both forms, where they are looked for, and one line for everything that is wrong."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from genkit.data.counter_stream import ViewStream
from genkit.data.sources.mnist import MNIST
from genkit.errors import DataError

N_TRAIN, N_TEST = 24, 6
STEMS = {"x_train": "train-images", "y_train": "train-labels", "x_test": "t10k-images", "y_test": "t10k-labels"}


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (N_TRAIN, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, N_TRAIN, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (N_TEST, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, N_TEST, dtype=np.uint8),
    }


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_npz(folder: Path) -> None:
    np.savez_compressed(folder / "mnist.npz", **arrays())


def write_idx(folder: Path, dot: str = "-", packed: bool = False) -> None:
    for name, array in arrays().items():
        path = folder / f"{STEMS[name]}{dot}idx{array.ndim}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))


def write_torchvision(folder: Path) -> None:
    (folder / "MNIST" / "raw").mkdir(parents=True)
    write_idx(folder / "MNIST" / "raw")


WRITERS: dict[str, Callable[[Path], None]] = {
    "npz": write_npz,
    "idx": write_idx,
    "idx.gz": lambda folder: write_idx(folder, packed=True),
    "dotted": lambda folder: write_idx(folder, dot="."),
    "torchvision": write_torchvision,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the characters that paths are known to stumble over."""
    place = tmp_path / "data = ä, [1]"
    place.mkdir()
    return place


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_every_form_gives_the_same_splits(folder: Path, form: str) -> None:
    WRITERS[form](folder)
    mnist, raw = MNIST(str(folder)), arrays()
    train, val, test = (mnist.split(name) for name in ("train", "val", "test"))
    x = torch.from_numpy(raw["x_train"])[:, None]
    y = torch.from_numpy(raw["y_train"]).long()
    assert torch.equal(torch.cat([train.x, val.x]), x)
    assert torch.equal(torch.cat([train.y, val.y]), y)
    assert (len(train), len(val), len(test)) == (22, 2, 6)
    assert torch.equal(test.x[:, 0], torch.from_numpy(raw["x_test"]))
    assert test.x.dtype == torch.uint8
    assert test.x.shape[1:] == mnist.spec.shape
    assert mnist.eval_n == N_TEST


@pytest.mark.parametrize("file", ["mnist.npz", "t10k-labels-idx1-ubyte"])
def test_root_may_be_a_file(folder: Path, file: str) -> None:
    write_npz(folder) if file.endswith(".npz") else write_idx(folder)
    assert len(MNIST(str(folder / file)).split("test")) == N_TEST


def test_root_defaults_to_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(folder)
    monkeypatch.setenv("GENKIT_DATA", str(folder))
    assert len(MNIST().split("test")) == N_TEST


def refusal(root: str | None) -> str:
    with pytest.raises(DataError) as caught:
        MNIST(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_place_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENKIT_DATA", raising=False)
    message = refusal(None)
    assert "data.root=" in message
    assert "GENKIT_DATA" in message
    assert "mnist.npz" in message


def test_missing_folder_empty_folder_and_missing_file(folder: Path) -> None:
    assert "does not exist" in refusal(str(folder / "nowhere"))
    assert str(folder) in refusal(str(folder))
    write_idx(folder)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte" in refusal(str(folder))


def test_truncated_npz_names_its_path(folder: Path) -> None:
    write_npz(folder)
    path = folder / "mnist.npz"
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        assert str(path) in refusal(str(folder))


def test_any_flipped_bit_is_refused_or_harmless(folder: Path) -> None:
    """Flips in the headers of the archive and its arrays: a DataError or a file that still reads, nothing else."""
    np.savez(folder / "mnist.npz", **arrays())
    path = folder / "mnist.npz"
    whole, refusals = path.read_bytes(), []
    for place in range(0, 180, 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            MNIST(str(folder))
        except DataError as error:
            refusals.append(str(error))
    assert len(refusals) > 45
    assert all(str(path) in line and "\n" not in line for line in refusals)


def test_npz_is_never_unpickled(folder: Path) -> None:
    np.savez(folder / "mnist.npz", **(arrays() | {"x_train": np.array([{"a": 1}], dtype=object)}))
    assert "mnist.npz" in refusal(str(folder))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_damaged_idx_names_its_path(folder: Path, packed: bool) -> None:
    write_idx(folder, packed=packed)
    path = folder / f"train-images-idx3-ubyte{'.gz' if packed else ''}"
    whole = path.read_bytes()
    for damaged in (b"", whole[:9], whole[: len(whole) // 2], b"\xff" * 40 + whole[40:]):
        path.write_bytes(damaged)
        assert str(path) in refusal(str(folder))


def test_idx_of_another_size_or_kind(folder: Path) -> None:
    write_idx(folder)
    images = folder / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for wrong in (whole + b"\x00", idx_bytes(arrays()["y_train"]), b"\x00\x00\x0d\x03" + whole[4:]):
        images.write_bytes(wrong)
        assert str(images) in refusal(str(folder))


WRONG = {
    "x_train": {
        "float": lambda a: a / 255.0,
        "32x32": lambda a: np.zeros((N_TRAIN, 32, 32), np.uint8),
        "flat": np.ravel,
    },
    "y_test": {"float": lambda a: a * 1.0, "short": lambda a: a[:-1], "eleven": lambda a: a + 10},
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in WRONG.items() for kind in kinds])
def test_wrong_shape_type_or_label(folder: Path, name: str, kind: str) -> None:
    raw = arrays()
    np.savez(folder / "mnist.npz", **(raw | {name: WRONG[name][kind](raw[name])}))
    assert name in refusal(str(folder))


def test_missing_array_is_named(folder: Path) -> None:
    raw = arrays()
    del raw["y_test"]
    np.savez(folder / "mnist.npz", **raw)
    assert "y_test" in refusal(str(folder))


def test_shift_moves_training_images(folder: Path) -> None:
    write_npz(folder)
    mnist = MNIST(str(folder), shift=2)
    x = mnist.split("train").x
    moved = mnist.view(x, torch.arange(len(x)), ViewStream(0, 0))
    assert moved.shape == x.shape
    assert not torch.equal(moved, x)


def test_dynamic_pixels_are_drawn_anew_in_each_epoch(folder: Path) -> None:
    write_npz(folder)
    mnist = MNIST(str(folder), binarize="dynamic")
    index = torch.arange(len(mnist.view_source))
    first, again, second = (
        mnist.view(mnist.view_source.take(index).x, index, ViewStream(0, epoch)) for epoch in (0, 0, 1)
    )
    assert torch.equal(first, again)
    for other in (second, mnist.split("train").x):
        assert (first != other).double().mean() > 0.1


def test_floor_is_train_against_test(folder: Path) -> None:
    write_npz(folder)
    mnist = MNIST(str(folder))
    fake, reference = mnist.real_pair(6, repeat=0)
    assert torch.equal(reference.x, mnist.split("test").x)
    train = {row.numpy().tobytes() for row in mnist.split("train").x}
    assert all(row.numpy().tobytes() in train for row in fake.x)
    assert torch.equal(fake.x, mnist.real_pair(6, repeat=0)[0].x)
    with pytest.raises(DataError, match="n=23"):
        mnist.real_pair(23, repeat=0)


@pytest.mark.skipif(not os.environ.get("GENKIT_DATA"), reason="needs $GENKIT_DATA with MNIST in it")
def test_the_real_thing() -> None:
    mnist = MNIST()
    assert [len(mnist.split(name)) for name in ("train", "val", "test")] == [55_000, 5_000, 10_000]
    assert mnist.eval_n == 10_000
    test = mnist.split("test")
    assert test.y is not None
    assert test.y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert float(mnist.split("train").x.double().mean()) == pytest.approx(33.3, abs=0.3)

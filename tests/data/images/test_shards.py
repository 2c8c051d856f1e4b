"""Shards: read by offset, in an order that depends on nothing but (seed, epoch), indexed once and verified."""

import os
import zipfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_cases import bomb, class_files, encoded, noise, write_zip

from genkit.data.content_split import NAMES
from genkit.data.dataset import Dataset, check_finite
from genkit.data.images import class_labels
from genkit.data.loader import TrainLoader
from genkit.data.order import drawn
from genkit.data.shards import indexing, store
from genkit.data.sources.images import Images
from genkit.data.sources.shards import Shards
from genkit.errors import DataError

FILES = class_files(40)


def shard_files(folder: Path, files: Mapping[str, bytes], count: int = 3, name: str = "part") -> Path:
    folder.mkdir(exist_ok=True)
    entries = list(files.items())
    for k in range(count):
        write_zip(folder / f"{name}-{k:05}-of-{count:05}.zip", dict(entries[k::count]))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return shard_files(tmp_path / "shards", FILES)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were just written count as old, so that their indexes are kept."""
    monkeypatch.setattr(indexing, "YOUNG", -(10**9))


def contents(data: Dataset) -> dict[str, set[tuple[bytes, int]]]:
    found = {}
    for name in NAMES:
        split = data.split(name)
        assert split.labels is not None
        pairs = zip(split.between(0, len(split)).x, split.labels.tolist(), strict=True)
        found[name] = {(x.numpy().tobytes(), y) for x, y in pairs}
    return found


def test_the_images_are_those_of_a_folder(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in FILES.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    photos, shards = Images(str(tmp_path / "photos")), Shards(str(root))
    assert "40 images in 3 shards, 2 classes, 12x12 RGB -> 12x12 RGB" in capsys.readouterr().err
    assert shards.class_names == photos.class_names == ("cat", "dog")
    assert shards.spec == photos.spec
    assert set().union(*contents(shards).values()) == set().union(*contents(photos).values())
    assert [len(shards.split(name)) for name in NAMES] == [len(photos.split(name)) for name in NAMES] == [32, 4, 4]
    assert sum(len(names) for names in shards.provenance.names().values()) == 40
    assert next(iter(shards.provenance.names()["test"])).startswith("part-0000")


@pytest.mark.parametrize("workers", [2, 5])
@pytest.mark.parametrize("crop", ["centre", "random"])
def test_batches_depend_on_neither_threads_nor_processes(root: Path, workers: int, crop: Any) -> None:
    options: dict[str, Any] = {"size": 8, "crop": crop, "flip": True, "batch_size": 4, "window": 10}
    one, many = Shards(str(root), workers=1, **options), Shards(str(root), workers=workers, **options)
    straight = list(islice(TrainLoader(one, seed=5), 20))
    for batch, other in zip(straight, TrainLoader(many, seed=5), strict=False):
        assert torch.equal(batch["x"], other["x"])
        assert torch.equal(batch["y"], other["y"])
    resumed = TrainLoader(many, seed=5, start=11)
    for batch, other in zip(straight[11:], resumed, strict=False):
        assert torch.equal(batch["x"], other["x"])
    two = [TrainLoader(Shards(str(root), **options | {"batch_size": 2}), seed=5, world_size=2, rank=r) for r in (0, 1)]
    for m in (0, 3, 9):
        assert torch.equal(torch.cat([rank.batch(m)["x"] for rank in two]), straight[m]["x"])


def test_batches_are_made_ahead_and_an_error_comes_in_its_turn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = TrainLoader(Shards(str(root), batch_size=4), seed=0)
    straight, made = [loader.batch(m) for m in range(6)], list[int]()
    original = loader.batch

    def batch(m: int) -> Any:
        made.append(m)
        if m == 5:
            raise DataError("the sixth")
        return original(m)

    monkeypatch.setattr(loader, "batch", batch)
    ahead = iter(loader)
    for expected in straight[:5]:
        assert torch.equal(next(ahead)["x"], expected["x"])
        assert len(made) <= 7
    with pytest.raises(DataError, match="the sixth"):
        next(ahead)
    assert made[:6] == list(range(6))


def test_names_of_shards_are_splits_and_copies_fall_on_one_side(tmp_path: Path) -> None:
    root = tmp_path / "named"
    entries = list(FILES.items())
    for name, part in (("train", entries[:20]), ("val", entries[20:30]), ("test", entries[30:])):
        shard_files(root, dict(part), 2, name)
    named = Shards(str(root))
    assert [len(named.split(name)) for name in NAMES] == [20, 10, 10]
    twice = shard_files(tmp_path / "twice", FILES | {f"{name}.copy.png": data for name, data in FILES.items()})
    found = contents(Shards(str(twice)))
    assert not found["train"] & (found["val"] | found["test"])
    (root / "more.zip").write_bytes((root / "val-00000-of-00002.zip").read_bytes())
    with pytest.raises(DataError, match="of no split, train, val or test"):
        Shards(str(root))


def test_fingerprints_are_of_the_contents(root: Path, tmp_path: Path) -> None:
    first = Shards(str(root)).split("train")
    (tmp_path / "moved").symlink_to(root)
    assert Shards(str(tmp_path / "moved"), workers=3).split("train").fingerprint == first.fingerprint
    assert Shards(str(root), size=8).split("train").fingerprint != first.fingerprint
    path = root / "part-00000-of-00003.zip"
    files = {name: encoded(noise(12, 12, 99 + i)) for i, name in enumerate(list(FILES)[::3])}
    state = path.stat()
    write_zip(path, files)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert Shards(str(root)).split("train").fingerprint != first.fingerprint


def test_shards_are_read_once_and_verified(root: Path, settled: None, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def opened() -> str:
        fingerprint = Shards(str(root)).split("train").fingerprint
        said.append(capsys.readouterr().err)
        return fingerprint

    first = opened()
    assert opened() == first
    assert "reading 3 shards once" in said[0]
    assert "reading" not in said[1]
    (index, *_) = indexing.index_folder(root).glob("*.index")
    data = bytearray(index.read_bytes())
    data[-7] ^= 1
    index.write_bytes(data)
    assert opened() == first
    assert "damaged: it is made again" in said[2]
    assert "reading 1 shard once" in said[2]
    write_zip(root / "part-00003.zip", {"cat/new.png": encoded(noise(12, 12, 77))})
    assert opened() != first
    assert "reading 1 shard once" in said[3]  # the others are known


def test_a_cache_that_cannot_be_written_costs_time_alone(
    root: Path, settled: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "a file"))
    assert len(Shards(str(root)).split("train")) == 32
    assert capsys.readouterr().err.count("read again at each start") == 1


def test_a_shard_that_changes_while_it_is_read_is_noticed(root: Path) -> None:
    split = Shards(str(root), workers=1).split("train")
    path = root / "part-00001-of-00003.zip"
    content = path.read_bytes()
    with open(path, "r+b") as file:
        file.write(bytes(len(content)))
    with pytest.raises(DataError, match="was changed while it was in use"):
        split.between(0, len(split))


def test_more_shards_than_are_kept_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Shards(str(root))
    monkeypatch.setattr(store, "KEPT_OPEN", 1)
    assert contents(Shards(str(root))) == contents(whole)


def test_what_cannot_be_used(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jpeg = encoded(noise(64, 64, 1), "JPEG")
    cut = jpeg[: len(jpeg) - 500]
    write_zip(root / "more.zip", {"cat/cut.jpg": cut, "cat/bomb.png": bomb(30000, 30000), "a.txt": b""})
    with pytest.raises(DataError, match=r"2 of 42 images cannot be used .* data\.max_bad=2"):
        Shards(str(root))
    assert "more.zip/cat/cut.jpg: damaged" in capsys.readouterr().err
    data = Shards(str(root), max_bad=2)
    assert sum(len(data.split(name)) for name in NAMES) == 40
    assert len(data.provenance.bad) == 2
    with pytest.raises(DataError, match="1 of 42 images"):  # cut in its pixels, which only decoding shows
        Shards(str(root), check=False)
    trusted = Shards(str(root), check=False, max_bad=1)
    with pytest.raises(DataError, match=r"cut\.jpg: damaged .* data.check=true"):
        contents(trusted)


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        ({}, {}, "no images in its shards"),
        ({"x.png": FILES["cat/000.png"]}, {}, "1 different examples to train on"),
        ({"cat/x.png": FILES["cat/000.png"]}, {"labels": "folder"}, "one class"),
        ({"../x.png": FILES["cat/000.png"]}, {}, "leads out of it"),
        ({**FILES, "labels.csv": b"image,class\ncat/000.png,cat\n"}, {}, "39 images without a row"),
    ],
)
def test_refusals(tmp_path: Path, files: dict[str, bytes], options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Shards(str(shard_files(tmp_path / "bad", files, 1)), **options)


def test_compressed_and_missing_shards_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"no \.zip or \.parquet files in it"):
        Shards(str(tmp_path / "folder"))
    write_zip(tmp_path / "folder" / "x.zip", {"cat/a.bmp": encoded(noise(12, 12, 0), "BMP")}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="is compressed"):
        Shards(str(tmp_path / "folder"))


def test_labels(root: Path, tmp_path: Path) -> None:
    assert Shards(str(root), labels="none").spec.num_classes is None
    rows = "".join(f"{name},{'b a' if i % 3 else 'ä'}\n" for i, name in enumerate(FILES))
    listed = shard_files(tmp_path / "listed", {**FILES, class_labels.FOLDER: b"x"}, 1)
    write_zip(listed / "part-00000-of-00001.zip", {**FILES, "labels.csv": f"image,class\n{rows}".encode()})
    assert Shards(str(listed)).class_names == ("b a", "ä")


def test_sizes_are_chosen_as_of_a_folder(tmp_path: Path) -> None:
    sides = np.random.default_rng(0).integers(30, 90, (40, 2))
    files = {f"{i}.png": encoded(noise(h, w, i, 1)) for i, (h, w) in enumerate(sides.tolist())}
    (tmp_path / "photos").mkdir()
    for name, data in files.items():
        (tmp_path / "photos" / name).write_bytes(data)
    shards, photos = Shards(str(shard_files(tmp_path / "shards", files))), Images(str(tmp_path / "photos"))
    assert shards.spec == photos.spec
    assert shards.spec.shape[0] == 1


def test_random_choices_depend_on_the_set_alone_and_decode_nothing_else(tmp_path: Path) -> None:
    """The same images in other shards: the same are chosen, and only these are read."""
    chosen = []
    for k, files in enumerate((FILES, dict(reversed(FILES.items())))):
        data = Shards(str(shard_files(tmp_path / f"{k}", files, 2 + k)), workers=1)
        read: list[int] = []
        original = data.images.store.read

        def counted(number: int, original: Any = original, read: list[int] = read) -> bytes:
            read.append(number)
            return bytes(original(number))

        data.images.store.read = counted  # type: ignore[method-assign]
        chosen.append(drawn(data.split("train"), 5, 3))
        assert len(read) == 5
    assert torch.equal(chosen[0].x, chosen[1].x)


def test_a_check_of_values_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Shards(str(root))
    monkeypatch.setattr(store.ShardStore, "read", None)
    check_finite(data)

"""Shards of any source hold its pixels, labels and splits; a source in the order of its classes is mixed."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_cases import bomb, class_files, encoded, noise, write_folder, write_tar, write_zip

from genkit.data.content_split import NAMES
from genkit.data.dataset import Dataset
from genkit.data.images.collection import ImageCollection
from genkit.data.images.preparation import ImageOptions
from genkit.data.prepared_images import only_listed
from genkit.data.shards import writing
from genkit.data.shards.split_images import SplitImages
from genkit.data.shards.writing import ShardWriting, Written
from genkit.data.sources.arrays import Arrays
from genkit.data.sources.digits import Digits
from genkit.data.sources.images import Images, collection_of
from genkit.data.sources.shards import Shards
from genkit.errors import DataError

FILES = class_files(40)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def written(images: ImageCollection, out: Path, megabytes: int = 1, **options: Any) -> Written:
    return ShardWriting(Path("photos"), images, ImageOptions(**options), megabytes).write(out)


def all_images(data: Dataset) -> list[tuple[bytes, int]]:
    found = []
    for name in NAMES:
        x, y = data.split(name).between(0, len(data.split(name))).x, data.split(name).labels
        labels = [-1] * len(x) if y is None else y.tolist()
        found += [(values.numpy().tobytes(), label) for values, label in zip(x, labels, strict=True)]
    return sorted(found)


SOURCES = {
    "folder": lambda path: write_folder(path / "photos", FILES),
    "zip": lambda path: write_zip(path / "photos.zip", FILES, zipfile.ZIP_DEFLATED),
    "packed tar": lambda path: write_tar(path / "photos.tar.gz", FILES, "w:gz"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_files_are_written_as_they_are(tmp_path: Path, out: Path, kind: str) -> None:
    source = SOURCES[kind](tmp_path)
    done = written(collection_of(source), out)
    assert (done.images, done.shards, done.bytes) == (40, 1, sum(map(len, FILES.values())))
    with zipfile.ZipFile(out / "part-00000-of-00001.zip") as archive:
        assert sorted(archive.read(name) for name in archive.namelist()) == sorted(FILES.values())
        assert archive.namelist()[0] == "cat/00000000-000.png"
        assert archive.testzip() is None
    assert all_images(Shards(str(out))) == all_images(Images(str(source)))


def test_nothing_is_prepared_to_write_shards(tmp_path: Path) -> None:
    with only_listed():
        data = Images(str(write_folder(tmp_path / "photos", FILES)))
    assert data.source is not None
    assert len(data.source.images) == 40
    assert not (tmp_path / "cache" / "data").exists()


def test_pixels_of_arrays_and_of_splits_are_kept(tmp_path: Path, out: Path) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (30, 6, 7, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=pixels, y=np.arange(30) % 12)
    arrays = Arrays(str(tmp_path / "x.npz"))
    assert arrays.source is not None
    written(arrays.source.images, out)
    assert all_images(Shards(str(out))) == all_images(arrays)
    (tmp_path / "split").mkdir()
    written(SplitImages(arrays, "arrays"), tmp_path / "split")
    shards = Shards(str(tmp_path / "split"))
    for name in NAMES:
        mine, theirs = shards.split(name), arrays.split(name)
        assert torch.equal(mine.between(0, len(mine)).x, theirs.between(0, len(theirs)).x)
        assert mine.labels is not None
        assert theirs.labels is not None
        assert torch.equal(mine.labels, theirs.labels)
    assert shards.class_names == tuple(map(str, range(12)))  # 2 before 10


def test_levels_that_no_file_has_are_refused() -> None:
    with pytest.raises(DataError, match=r"17 levels.*256 levels"):
        SplitImages(Digits(), "digits")


def test_a_size_is_applied_once_and_what_has_it_is_kept(tmp_path: Path, out: Path) -> None:
    files = {"cat/a.jpg": encoded(noise(8, 8, 0), "JPEG"), "dog/b.jpg": encoded(noise(20, 30, 1), "JPEG")}
    files |= {f"cat/{i}.png": encoded(noise(9, 9, i + 2, 1)) for i in range(4)}
    source = write_folder(tmp_path / "photos", files)
    written(collection_of(source), out, size=(8, 8), channels=3)
    with zipfile.ZipFile(out / "part-00000-of-00001.zip") as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    assert kept["cat/00000004-a.jpg"] == files["cat/a.jpg"]
    assert all_images(Shards(str(out))) == all_images(Images(str(source), size=8, channels=3))


@pytest.mark.parametrize(("most", "megabytes"), [(7, 1), (10**6, 1)])
def test_a_sorted_source_is_mixed(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, most: int, megabytes: int
) -> None:
    """Every shard has about as many images of each class as the source, though that has one class after the other."""
    side = 12 if most < 100 else 200
    files = {f"{'ab'[i // 20]}/{i}.png": encoded(noise(side, side, i)) for i in range(40)}
    monkeypatch.setattr(writing, "MOST_IMAGES", most)
    done = written(collection_of(write_folder(tmp_path / "photos", files)), out, megabytes)
    assert done.shards >= 5
    for path in out.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        assert len(names) <= most
        assert abs(sum(name.startswith("a") for name in names) - len(names) / 2) <= 1
        assert path.stat().st_size < 1.1e6
    assert len(all_images(Shards(str(out)))) == 40


@pytest.mark.parametrize("name", ["a/b", "..", "ä b", "x" * 300])
def test_classes_of_any_name(tmp_path: Path, out: Path, name: str) -> None:
    labels = tmp_path / "labels.csv"
    rows = [f'{file},"{name}"' if i % 2 else f"{file},other" for i, file in enumerate(FILES)]
    labels.write_text("image,class\n" + "\n".join(rows), encoding="utf-8")
    source = write_folder(tmp_path / "photos", FILES)
    written(collection_of(source), out, labels=str(labels))
    assert all_images(Shards(str(out))) == all_images(Images(str(source), labels=str(labels)))


def test_splits_of_the_source_are_kept(tmp_path: Path, out: Path) -> None:
    entries = list(FILES.items())
    parts = {
        f"{part}/{name}": data for part, few in zip(NAMES, (20, 10, 10), strict=True) for name, data in entries[:few]
    }
    written(collection_of(write_folder(tmp_path / "photos", parts)), out)
    assert sorted(path.name.partition("-")[0] for path in out.glob("*.zip")) == ["test", "train", "val"]
    assert [len(Shards(str(out)).split(name)) for name in NAMES] == [20, 10, 10]


def test_what_cannot_be_used_is_named(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jpeg = encoded(noise(64, 64, 1), "JPEG")
    files = {**FILES, "cat/cut.jpg": jpeg[:-500], "cat/bomb.png": bomb(30000, 30000), "cat/none.png": b""}
    source = write_folder(tmp_path / "photos", files)
    with pytest.raises(DataError, match=r"3 of 43 images cannot be used .* data\.max_bad=3"):
        written(collection_of(source), out)
    said = capsys.readouterr().err
    assert all(f"cat/{name}: " in said for name in ("cut.jpg", "bomb.png", "none.png"))
    (tmp_path / "again").mkdir()
    assert written(collection_of(source), tmp_path / "again", max_bad=3).images == 40


def test_the_same_images_are_the_same_bytes(tmp_path: Path, out: Path) -> None:
    images = collection_of(write_folder(tmp_path / "photos", FILES))
    (tmp_path / "again").mkdir()
    written(images, out)
    written(images, tmp_path / "again")
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()

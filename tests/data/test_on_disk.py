"""Splits on disk: prepared once, whole or not at all, verified on opening; what is damaged is prepared again, aloud."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genkit.data.on_disk import LABELS, MANIFEST, VALUES, Layout, OnDisk, files_facts, prepared
from genkit.data.split import Examples, InMemory
from genkit.errors import DataError, StorageError

N = 50
ALL = InMemory(torch.randint(0, 256, (N, 2, 3), dtype=torch.uint8), torch.arange(N))
LAYOUT = Layout(N, (2, 3), "uint8", labelled=True)
FACTS = {"source": "a test"}


class Source:
    """Counts how often it was read."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self) -> Iterator[Examples]:
        self.read += 1
        return ALL.chunks(7)


class Cache:
    """A folder of prepared splits, and what was said about them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said, self.source = folder, list[str](), Source()

    def split(self) -> OnDisk:
        return prepared(self.source, LAYOUT, FACTS, folder=self.folder, say=self.said.append)

    @property
    def place(self) -> Path:
        (found,) = self.folder.iterdir()
        return found


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "splits")


def holds_all(split: OnDisk) -> bool:
    taken = split.take(torch.arange(N))
    return torch.equal(taken.x, ALL.x) and taken.y is not None and torch.equal(taken.y, ALL.y)


def test_it_is_prepared_once(cache: Cache) -> None:
    assert holds_all(cache.split())
    assert holds_all(cache.split())
    assert cache.source.read == len(cache.said) == 1
    assert f"preparing {N} examples, {N * 14:,} bytes" in cache.said[0]
    assert np.array_equal(np.load(cache.place / VALUES, allow_pickle=False), ALL.x)  # anybody can read it


def test_other_facts_are_another_split(cache: Cache) -> None:
    cache.split()
    for layout, facts in ((LAYOUT, {"source": "another"}), (Layout(N, (6,), "uint8", True), FACTS)):
        chunks = (Examples(chunk.x.view(-1, *layout.shape), chunk.y) for chunk in ALL.chunks(7))
        prepared(chunks, layout, facts, folder=cache.folder, say=cache.said.append)
    assert len(list(cache.folder.iterdir())) == len(cache.said) == 3


def edited(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def longer(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"\0")


def of_another_type(path: Path) -> None:
    np.save(path, np.load(path).view(np.int8))


def a_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [edited, cut, longer, of_another_type, a_link, a_folder, os.unlink])
@pytest.mark.parametrize("name", [VALUES, LABELS, MANIFEST])
def test_what_is_damaged_is_prepared_again_aloud(cache: Cache, name: str, damage: Callable[[Path], None]) -> None:
    if name == MANIFEST and damage is of_another_type:
        return
    cache.split()
    place = cache.place
    damage(place / name)
    assert holds_all(cache.split())
    assert cache.source.read == 2
    assert str(place) in cache.said[1]
    assert cache.said[1].endswith("it is prepared again")
    assert holds_all(cache.split())
    assert cache.source.read == 2


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b"null", b'{"sha256": 3}', b"\xff", b"[" * 100_000])
def test_a_manifest_of_nonsense_is_damage(cache: Cache, manifest: bytes) -> None:
    cache.split()
    (cache.place / MANIFEST).write_bytes(manifest)
    assert holds_all(cache.split())
    assert cache.source.read == 2


def failing() -> Iterator[Examples]:
    yield next(iter(ALL.chunks(7)))
    raise KeyboardInterrupt


def test_an_interrupted_preparation_leaves_nothing(cache: Cache) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepared(failing, LAYOUT, FACTS, folder=cache.folder, say=cache.said.append)
    assert list(cache.folder.iterdir()) == []
    assert holds_all(cache.split())


def unreadable() -> Iterator[Examples]:
    raise OSError("no such picture")
    yield


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (lambda: ALL[torch.arange(N - 1)].chunks(9), "50 examples were to be prepared and the source gave 49"),
        (lambda: InMemory(torch.cat([ALL.x, ALL.x]), torch.arange(2 * N)).chunks(9), "the source gave more"),
        (lambda: InMemory(ALL.x.float(), ALL.y).chunks(9), "float32"),
        (lambda: InMemory(ALL.x[:, :1], ALL.y).chunks(9), r"\(1, 3\)"),
        (lambda: InMemory(ALL.x).chunks(9), "int64 labels"),
        (lambda: InMemory(ALL.x, ALL.x[:, 0, 0]).chunks(9), "int64 labels"),
        (unreadable, "the source of a split cannot be read: no such picture"),
    ],
)
def test_a_source_of_something_else_is_refused(cache: Cache, source: Source, said: str) -> None:
    with pytest.raises(DataError, match=said):
        prepared(source, LAYOUT, FACTS, folder=cache.folder, say=cache.said.append)
    assert list(cache.folder.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_read(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(StorageError, match=r"700 bytes needed, 100 free: make room, set GENKIT_CACHE"):
        cache.split()
    assert cache.source.read == 0


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        Cache(tmp_path / "file").split()


def test_two_processes_may_prepare_at_once(cache: Cache) -> None:
    """The other one is done while this one reads its source: its folder stands, and is read."""

    def slow() -> Iterator[Examples]:
        other = Cache(cache.folder)
        yield from ALL.chunks(7)
        assert holds_all(other.split())

    split = prepared(slow, LAYOUT, FACTS, folder=cache.folder, say=cache.said.append)
    assert holds_all(split)
    assert cache.place == split.path.parent  # and nothing temporary beside it


def test_a_file_that_is_cut_while_it_is_read_is_an_error(cache: Cache) -> None:
    split = cache.split()
    cut(cache.place / VALUES)
    for read in (lambda: split.take(torch.arange(N - 3, N)), lambda: list(split.chunks(9))):
        with pytest.raises(DataError, match="cut while it was in use"):
            read()


def test_what_was_discarded_meanwhile_is_still_read(cache: Cache) -> None:
    split = cache.split()
    shutil.rmtree(cache.place)
    assert holds_all(split)


@pytest.mark.parametrize("index", [[-1], [N], [3, N + 5, 4]])
def test_what_is_beyond_the_split_is_an_error(cache: Cache, index: list[int]) -> None:
    with pytest.raises(IndexError, match=f"of {N}"):
        cache.split().take(torch.tensor(index))


def test_files_are_known_by_name_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    before = files_facts([file])
    assert before[0][:2] == ["a.png", 3]
    os.utime(file, ns=(0, 1))
    assert files_facts([file]) == [["a.png", 3, 1]] != before
    with pytest.raises(DataError, match="cannot be read"):
        files_facts([tmp_path / "none"])

"""The cache of prepared data under faults: two processes at once, a full disk, a kill, no right to write.

Whatever happens, what stands under a name is whole, and the next command has the data.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genkit import cli
from genkit.data import source_state
from genkit.data.content_split import NAMES
from genkit.data.images import preparation
from genkit.data.prepared import data_folder
from genkit.data.sources.images import Images
from genkit.data.sources.shards import Shards
from genkit.errors import StorageError
from genkit.storage.atomic import sweep

Capture = pytest.CaptureFixture[str]

N, SIDE = 60, 32
NOBODY = 65534
# prepares what it is given, so slowly that others can come in between
PREPARE = """
import sys, time
import genkit.data.images.preparation as preparation
from genkit.data.sources.images import Images
preparation.Scratch.add = lambda *_: time.sleep(60)
Images(sys.argv[1])
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    dice = np.random.default_rng(0)
    for i in range(N):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dice.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def fingerprint(photos: Path) -> str:
    return Images(str(photos)).split("train").fingerprint


def temporary() -> list[str]:
    return [path.name for path in data_folder().iterdir() if path.name.startswith(".")]


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def begun() -> bool:
    """Tell whether a process has begun to prepare."""
    return data_folder().is_dir() and any(name.endswith(".tmp") for name in temporary())


def test_who_comes_second_waits_and_reads(photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A lock of the one is one to the other, in threads as in processes."""
    add = preparation.Scratch.add
    starts = threading.Barrier(2, timeout=60)

    def slowly(scratch: Any, values: Any) -> None:
        time.sleep(0.01)
        add(scratch, values)

    def prepare() -> str:
        starts.wait()
        return fingerprint(photos)

    monkeypatch.setattr(preparation.Scratch, "add", slowly)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(prepare), threads.submit(prepare)
    said = capsys.readouterr().err
    assert said.count("another process prepares the same data: waiting") == said.count("preparing 60 images") == 1
    assert first.result() == second.result() == fingerprint(photos)
    assert len(list(data_folder().iterdir())) == 1


def test_who_waits_for_a_process_that_is_killed_prepares_itself(photos: Path, capsys: Capture) -> None:
    """And of the half that was made nothing stays."""
    with subprocess.Popen([sys.executable, "-c", PREPARE, str(photos)], stderr=subprocess.DEVNULL) as first:
        until(begun)
        with ThreadPoolExecutor(1) as threads:
            second = threads.submit(fingerprint, photos)
            until(lambda: "another process prepares the same data: waiting" in capsys.readouterr().err)
            assert not second.done()
            first.kill()
    assert "preparing 60 images" in capsys.readouterr().err
    assert sum(len(Images(str(photos)).split(name)) for name in NAMES) == N
    sweep(data_folder())  # as the next preparation does
    assert temporary() == []


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], None]]:
    """Files can grow to so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [10 * SIDE * SIDE * 3, 40 * SIDE * SIDE * 3 + 1000])
def test_a_disk_that_fills_up_leaves_nothing(photos: Path, small_disk: Callable[[int], None], room: int) -> None:
    """In the scratch file, and in the array of a split."""
    small_disk(room)
    with pytest.raises(StorageError, match=r"cannot write .*make room"):
        Images(str(photos))
    assert list(data_folder().iterdir()) == []
    small_disk(resource.RLIM_INFINITY)
    assert sum(len(Images(str(photos)).split(name)) for name in NAMES) == N


def all_below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")


@pytest.fixture
def read_only(photos: Path) -> Iterator[Callable[[], None]]:
    """Nobody may write into the cache any more; of the system's administrator another user is tried."""
    cache = data_folder().parent

    def close() -> None:
        for path in all_below(cache):
            path.chmod(0o555 if path.is_dir() else 0o444)

    opened = [photos, *photos.rglob("?"), *photos.parents][:-1]
    before = [(folder, folder.stat().st_mode) for folder in opened]
    for folder in opened:
        folder.chmod(folder.stat().st_mode | 0o055)
    yield close
    for path in all_below(cache):
        path.chmod(0o755)
    for folder, mode in before:
        if folder.exists():
            folder.chmod(mode)


def test_a_cache_that_is_read_only(
    photos: Path, read_only: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is prepared is read; what is not ends in one line, and nothing is half done."""
    monkeypatch.setattr(source_state, "YOUNG", -(10**9))  # the hash of files just written would be kept
    known = fingerprint(photos)
    moved = tmp_path / "moved"
    photos.rename(moved)
    read_only()
    administrator = os.geteuid() == 0
    if administrator:
        os.seteuid(NOBODY)
    try:
        assert fingerprint(moved) == known  # though its hash cannot be kept
        with pytest.raises(StorageError, match="cannot write"):
            Images(str(moved), size=8)
    finally:
        if administrator:
            os.seteuid(0)
    assert len(list(data_folder().iterdir())) == 1


@pytest.mark.parametrize("room", [20 * SIDE * SIDE * 3, 60 * SIDE * SIDE * 3 + 5000])
def test_shards_are_written_whole_or_not_at_all(
    photos: Path, tmp_path: Path, small_disk: Callable[[int], None], capsys: Capture, room: int
) -> None:
    """The disk fills up amid the images, and in the list at the end of a zip."""
    words = ["data", "shard", "data=images", f"data.root={photos}", f"out={tmp_path / 'out' / 'shards'}"]
    small_disk(room)
    assert cli.main(words) == 6
    said = capsys.readouterr().err
    assert said.startswith("genkit: error: ")
    assert said.count("\n") == 1
    assert "make room" in said
    assert list((tmp_path / "out").iterdir()) == []
    small_disk(resource.RLIM_INFINITY)
    assert cli.main(words) == 0
    assert sum(len(Shards(str(tmp_path / "out" / "shards")).split(name)) for name in NAMES) == N

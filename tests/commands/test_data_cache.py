"""`genkit data list` and `genkit data clear`: what lies in the cache, what is freed, what is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import done, genkit

from genkit.data import kept
from genkit.data.on_disk import Layout, prepared
from genkit.data.shards import indexing
from genkit.data.split import InMemory
from genkit.storage.disk import user_folder
from genkit.storage.held import USE, hold, is_held, last_use


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def arrays(path: Path, seed: int) -> list[str]:
    np.save(path, np.random.default_rng(seed).integers(0, 256, (30, 6, 6, 3), dtype=np.uint8))
    return ["data=arrays", f"data.root={path}"]


@pytest.fixture
def filled(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[kept.Kept]:
    """Two prepared arrays, an index of shards, and a split of a dataset's own; nobody uses them."""
    monkeypatch.setattr(indexing, "YOUNG", -(10**9))
    for seed in (0, 1):
        done("data", "prepare", *arrays(tmp_path / f"{seed}.npy", seed))
    done("data", "shard", "data=arrays", f"data.root={tmp_path / '0.npy'}", f"out={tmp_path / 'shards'}")
    done("data", "prepare", "data=shards", f"data.root={tmp_path / 'shards'}")
    split = InMemory(torch.zeros(5, 2))
    prepared(lambda: split.chunks(5), Layout(5, (2,), "float32"), {"a": 1}, say=lambda _: None)
    release()
    return kept.kept()


def release() -> None:
    """As if the process had ended that used data so far."""
    from genkit.storage import held

    for descriptor in held._HELD.values():
        os.close(descriptor)
    held._HELD.clear()


def test_what_there_is(filled: list[kept.Kept], tmp_path: Path, work: Path) -> None:
    out = done("data", "list")
    assert len(filled) == 4
    for one in filled:
        assert one.name in out
        assert f"{one.bytes:,}" in out
    for part in (
        "24/3/3",
        f"{tmp_path / '1.npy'}: 30 images",
        "index of 1 shard",
        str(tmp_path / "shards"),
        "2 float32",
    ):
        assert part in out
    assert f"4 in {user_folder()}, {sum(one.bytes for one in filled):,} bytes" in out
    total = sum(file.stat().st_size for file in user_folder().rglob("*") if file.is_file())
    assert total >= sum(one.bytes for one in filled) > 0.9 * total


def test_one_is_cleared_by_the_beginning_of_its_name(filled: list[kept.Kept], tmp_path: Path, work: Path) -> None:
    one = next(one for one in filled if one.source.endswith("1.npy"))
    out = done("data", "clear", one.folder.name[:8])
    assert f"freed {one.bytes:,} bytes: {one.name}, {tmp_path / '1.npy'}" in out
    assert not one.folder.exists()
    assert len(kept.kept()) == 3
    again = genkit("data", "prepare", "data=arrays", f"data.root={tmp_path / '1.npy'}")
    assert "preparing 30 images" in again.err
    assert len(kept.kept()) == 4


def test_all_is_cleared_and_nothing_else(filled: list[kept.Kept], cache: Path, work: Path) -> None:
    (cache / "mine.txt").write_text("mine")
    (cache / "data" / "notes").mkdir()
    remains = cache / "data" / ".x.00000000-1-1-0.tmp"
    remains.mkdir()
    os.utime(remains, (0, 0))
    out = done("data", "clear", "all")
    assert "4 cleared" in out
    left = sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())
    assert [path for path in left if not path.startswith(("features", "v"))] == ["mine.txt"]
    assert (cache / "data" / "notes").is_dir()
    assert done("data", "list") == f"0 in {cache}, 0 bytes\n"


def test_what_is_old_is_cleared(filled: list[kept.Kept], work: Path) -> None:
    assert "0 cleared, 0 bytes" in done("data", "clear", "older=1")
    old = filled[2]
    then = time.time() - 5 * 86400
    os.utime(old.folder / USE, (then, then))
    assert "0 cleared" in done("data", "clear", "older=6")
    assert f"freed {old.bytes:,} bytes: {old.name}" in done("data", "clear", "older=4d")
    assert len(kept.kept()) == 3


def test_what_another_process_uses_is_left(filled: list[kept.Kept], work: Path) -> None:
    one = filled[0]
    code = f"from genkit.storage.held import hold; from pathlib import Path; hold(Path({str(one.folder)!r}), 'them')\n"
    code += "print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert done("data", "list").splitlines()[1].split()[:2] == [one.name, "now"]
        refused = genkit("data", "clear", one.name)
        assert (refused.code, "in use by a process" in refused.err) == (6, True)
        out = done("data", "clear", "all")
        assert f"left: {one.name}, them: in use" in out
        assert "3 cleared" in out
        other.kill()
    assert done("data", "clear", one.name).startswith("freed")


REFUSED = {
    "": "say what",
    "/etc": "a path",
    "../x": "a path",
    "~": "a path",
    ".": "a path",
    "abc": "no data in the cache is called so",
    "0123456789abcdef": "no data in the cache",
    "all older=3": "all stands alone",
    "older=": "a number of days",
    "older=-1": "a number of days",
    "older=nan": "a number of days",
    "x=3": "unknown argument",
    "--force": "unknown argument",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_refusals(cache: Path, work: Path, typed: str) -> None:
    refused = genkit("data", "clear", *typed.split())
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert REFUSED[typed] in refused.err


def test_links_out_of_the_cache_are_not_followed(
    filled: list[kept.Kept], cache: Path, tmp_path: Path, work: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (cache / "data" / ("a" * 64)).symlink_to(outside)
    assert "damaged" in done("data", "list")
    done("data", "clear", "aaaaaaaa")
    assert (outside / "precious").read_text() == "mine"
    assert not os.path.lexists(cache / "data" / ("a" * 64))


def test_a_use_that_cannot_be_noted_is_no_error(tmp_path: Path) -> None:
    hold(tmp_path / "nowhere", "x")
    assert not is_held(tmp_path / "nowhere")
    (tmp_path / USE).mkdir()
    hold(tmp_path, "x")
    assert last_use(tmp_path).source == ""
    (tmp_path / USE).rmdir()
    (tmp_path / USE).write_text("[")
    assert last_use(tmp_path).source == ""
    hold(tmp_path, "mine")
    assert json.loads((tmp_path / USE).read_text()) == {"source": "mine"}
    assert is_held(tmp_path)
    hold(tmp_path, "yours")
    assert is_held(tmp_path)
    assert last_use(tmp_path).source == "yours"

"""A folder has one living owner; a dead one's place is taken, an unknown one's is not."""

import dataclasses
import os
import signal
import time
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest
from checkpoint_cases import FORK, in_child

from genkit.checkpoint.lock import LOCK, acquire, living_owner, owner_of, release
from genkit.errors import StorageError
from genkit.storage.process import Process, current


def hold(folder: Path) -> None:
    acquire(folder)
    signal.pause()


def held_by_child(folder: Path) -> tuple[object, Process]:
    child = in_child(hold, folder)
    while (owner := owner_of(folder)) is None:
        time.sleep(0.005)
    return child, owner


def write(folder: Path, owner: Process) -> None:
    fields = dataclasses.asdict(owner)
    text = str(fields).replace("'", '"').replace("None", "null")
    (folder / LOCK).write_text(text)


def test_a_living_owner_is_named_and_a_killed_one_is_succeeded(tmp_path: Path) -> None:
    child, owner = held_by_child(tmp_path)
    with pytest.raises(StorageError, match=rf"^[^\n]*in use by process {owner.pid} on {owner.host}: [^\n]*$"):
        acquire(tmp_path)
    os.kill(owner.pid, signal.SIGKILL)  # not waited for yet: a zombie is dead too
    deadline = time.monotonic() + 10
    while not owner.is_dead() and time.monotonic() < deadline:
        time.sleep(0.005)
    acquire(tmp_path)
    assert owner_of(tmp_path) == current()
    child.join()  # type: ignore[attr-defined]


@pytest.mark.skipif(current().start is None, reason="no /proc: a pid that is used again cannot be told apart")
@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another boot"}, {"pid": 2**22 + 1}, {"pid": 2**70}])
def test_a_pid_that_is_used_again_is_not_the_owner(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path, dataclasses.replace(current(), **change))  # type: ignore[arg-type]
    acquire(tmp_path)
    assert owner_of(tmp_path) == current()


def test_an_owner_on_another_host_is_refused_with_the_next_step(tmp_path: Path) -> None:
    write(tmp_path, Process(2**22 + 1, "elsewhere", 5, "boot"))
    with pytest.raises(StorageError, match=rf"^[^\n]*elsewhere[^\n]*delete {tmp_path / LOCK}$"):
        acquire(tmp_path)
    (tmp_path / LOCK).unlink()
    acquire(tmp_path)


def test_one_process_opens_a_folder_once(tmp_path: Path) -> None:
    acquire(tmp_path)
    with pytest.raises(StorageError, match="open already"):
        acquire(tmp_path)
    release(tmp_path)
    assert owner_of(tmp_path) is None
    acquire(tmp_path)


def test_nobody_gives_up_what_another_owns(tmp_path: Path) -> None:
    other = Process(2**22 + 1, "elsewhere", 5, "boot")
    write(tmp_path, other)
    release(tmp_path)
    assert owner_of(tmp_path) == other


@pytest.mark.parametrize(
    ("owner", "living"),
    [
        (current(), True),
        (dataclasses.replace(current(), pid=2**22 + 1), False),
        (Process(2**22 + 1, "elsewhere", 5, "boot"), True),  # not proven dead
    ],
    ids=["this process", "a dead one", "on another host"],
)
def test_whoever_only_looks_sees_an_owner_that_may_live(tmp_path: Path, owner: Process, living: bool) -> None:
    assert living_owner(tmp_path) is None
    assert not (tmp_path / LOCK).exists()
    write(tmp_path, owner)
    assert living_owner(tmp_path) == (owner if living else None)


@pytest.mark.parametrize("content", [b"", b"\0" * 512, b"   \n"])
def test_a_lock_that_was_never_written_has_no_owner(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCK).write_bytes(content)
    acquire(tmp_path)
    assert owner_of(tmp_path) == current()


@pytest.mark.parametrize(
    "content", [b"hello", b"{}", b"[1]", b'{"pid": "x", "host": 1, "start": 2, "boot": 3}', b"\xff"]
)
def test_a_foreign_lock_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCK).write_bytes(content)
    with pytest.raises(StorageError, match=r"^[^\n]*delete it when[^\n]*$"):
        acquire(tmp_path)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_lock_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "link":
        (tmp_path / LOCK).symlink_to(tmp_path / "outside")
    else:
        os.mkfifo(tmp_path / LOCK)
    with pytest.raises(StorageError, match=r"^[^\n]+$"):
        acquire(tmp_path)
    assert not (tmp_path / "outside").exists()


def race(folder: Path, start: Barrier, done: Event) -> None:
    start.wait()
    try:
        acquire(folder)
    except StorageError:
        os._exit(6)
    done.wait()  # who got it must live until all have tried
    os._exit(0)


def test_of_eight_that_find_a_dead_owner_one_gets_the_folder(tmp_path: Path) -> None:
    write(tmp_path, dataclasses.replace(current(), pid=2**22 + 1))
    start, done = FORK.Barrier(8), FORK.Event()
    children = [in_child(race, tmp_path, start, done) for _ in range(8)]
    while sum(child.exitcode is None for child in children) > 1:
        time.sleep(0.005)
    done.set()
    for child in children:
        child.join()
    assert sorted(child.exitcode or 0 for child in children) == [0] + [6] * 7

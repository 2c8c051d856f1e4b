"""Replacing a file whole or not at all, names of temporaries, and the disk's space."""

import errno
import multiprocessing
import os
import socket
import threading
from pathlib import Path

import pytest

from genkit.errors import StorageError
from genkit.printing import shown
from genkit.storage.atomic import (
    discard,
    fsync_all,
    publish,
    replace_file,
    sweep,
    temporary_beside,
    temporary_file,
    whole_file,
)
from genkit.storage.disk import free_bytes, require_free_disk


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failed_replacement_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "latest"
    replace_file(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match=r"^[^\n]*latest: cannot write[^\n]*3 bytes needed[^\n]*$"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["latest"]
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"


def write_half(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"new, but only half")
        raise RuntimeError


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    with pytest.raises(StorageError, match="below a file: cannot write"), whole_file(path / "below a file"):
        pass
    with whole_file(tmp_path / "new" / "file") as file:  # the folder is made
        file.write(b"new")
    assert (tmp_path / "new" / "file").read_bytes() == b"new"


def test_every_file_of_a_folder_and_its_names_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.readlink(f"/proc/self/fd/{descriptor}")))
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    fsync_all(tmp_path)
    assert synced == {str(path) for path in (tmp_path, *tmp_path.iterdir())}


def test_a_refusal_of_one_of_many_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("b"):
            raise OSError(errno.EIO, "Input/output error")

    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        fsync_all(tmp_path)


def test_a_replaced_file_is_let_go_beside_the_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who drops the last reference may wait for the disk: not the thread that saves."""
    path, let_go, closed_by, close = tmp_path / "latest", threading.Event(), list[int](), os.close

    def closed(descriptor: int) -> None:
        if os.fstat(descriptor).st_nlink == 0:
            closed_by.append(threading.get_ident())
            close(descriptor)
            let_go.set()
        else:
            close(descriptor)

    path.write_bytes(b"old")
    monkeypatch.setattr(os, "close", closed)
    with temporary_file(path, b"new") as temporary:
        publish((temporary, path))
    assert let_go.wait(60)
    assert len(closed_by) == 1
    assert closed_by != [threading.get_ident()]
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["latest"]


def test_a_folder_is_discarded_with_whatever_a_user_put_into_it(tmp_path: Path) -> None:
    folder, outside = tmp_path / "step-00000001", tmp_path / "outside"
    (folder / "notes" / "more").mkdir(parents=True)
    outside.mkdir()
    for path in (folder / "a", folder / "b", folder / "notes" / "c", outside / "kept"):
        path.write_bytes(b"x")
    (folder / "link").symlink_to(outside)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    discard(folder)
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["kept"]


def test_new_files_have_the_users_permissions(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        replace_file(tmp_path / "file", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def make_temporary(target: Path) -> None:
    temporary_beside(target).write_text("x")


def make_in_child(target: Path) -> None:
    """A temporary of a process that is dead when this returns."""
    child = multiprocessing.get_context("fork").Process(target=make_temporary, args=(target,))
    child.start()
    child.join()


def leftovers(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".*.tmp"))


@pytest.mark.parametrize("name", ["latest", "ü" * 100, "a.b-1-2.tmp", "x" * 255, "line\nbreak"])
def test_temporaries_of_any_name_are_found_when_their_process_is_dead(tmp_path: Path, name: str) -> None:
    own = temporary_beside(tmp_path / name)
    own.write_text("x")
    assert temporary_beside(tmp_path / name) != own
    make_in_child(tmp_path / name)
    assert len(leftovers(tmp_path)) == 2
    assert len(sweep(tmp_path)) == 1
    assert leftovers(tmp_path) == [own]


def test_temporaries_of_another_host_are_left_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        new, old = temporary_beside(tmp_path / "a"), temporary_beside(tmp_path / "b")
    new.mkdir()
    old.mkdir()
    os.utime(old, (1, 1))
    assert sweep(tmp_path) == [old]
    assert list(tmp_path.iterdir()) == [new]


def test_too_little_space_is_refused_with_both_figures(tmp_path: Path) -> None:
    where = tmp_path / "not" / "yet"
    require_free_disk(1, where, "ask for less")
    both = rf"^{where}: {10**18:,} bytes needed, [0-9,]+ free: [^\n]*ask for less[^\n]*$"
    with pytest.raises(StorageError, match=both):
        require_free_disk(10**18, where, "ask for less")
    assert free_bytes(where) > 0


def test_a_hostile_name_stays_one_line() -> None:
    assert shown(Path("plain ü/漢")) == "plain ü/漢"
    assert shown("a\nb\x1b[31m").isprintable()

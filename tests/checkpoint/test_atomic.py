"""Replacing a file whole or not at all, names of temporaries, and the disk's space."""

import errno
import os
import socket
from pathlib import Path

import pytest
from checkpoint_cases import in_child, leftovers

from genkit.checkpoint.atomic import replace_file, sweep, temporary_beside
from genkit.checkpoint.disk import free_bytes, require_free_disk, shown
from genkit.errors import StorageError


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


def test_new_files_have_the_users_permissions(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        replace_file(tmp_path / "file", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def make_temporary(target: Path) -> None:
    temporary_beside(target).write_text("x")


@pytest.mark.parametrize("name", ["latest", "ü" * 100, "a.b-1-2.tmp", "x" * 255, "line\nbreak"])
def test_temporaries_of_any_name_are_found_when_their_process_is_dead(tmp_path: Path, name: str) -> None:
    own = temporary_beside(tmp_path / name)
    own.write_text("x")
    assert temporary_beside(tmp_path / name) != own
    in_child(make_temporary, tmp_path / name).join()
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
    require_free_disk(1, where)
    with pytest.raises(StorageError, match=rf"^{where}: {10**18:,} bytes needed, [0-9,]+ free: [^\n]*$"):
        require_free_disk(10**18, where)
    assert free_bytes(where) > 0


def test_a_hostile_name_stays_one_line() -> None:
    assert shown(Path("plain ü/漢")) == "plain ü/漢"
    assert shown("a\nb\x1b[31m").isprintable()

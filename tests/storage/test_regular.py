"""Files of strangers: what is no regular file inside its folder is neither read nor written, and nothing waits."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from genkit.errors import CheckpointError, DataError, StorageError
from genkit.storage.regular import append_to, is_inside, links_out, read_regular, require_inside


def bind(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a pipe"),
        (os.mkdir, "a folder"),
        (bind, "a socket"),
        (link_to("/dev/zero"), "out of its folder"),
        (link_to("../outside"), "out of its folder"),
        (link_to("."), "a folder"),
        (link_to("odd"), "without end"),
        (link_to("nowhere"), "missing"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**40), "1,099,511,627,776 bytes"),
        (lambda path: None, "missing"),
    ],
)
def test_what_is_no_file_of_its_folder_is_refused(make: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "odd")
    with pytest.raises(CheckpointError, match=rf"^[^\n]*odd: [^\n]*{said}[^\n]*$"):
        read_regular(folder / "odd", 100, inside=folder, refusal=CheckpointError)
    assert (tmp_path / "outside").read_text() == "secret"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, bind, link_to("../outside"), link_to("other")])
def test_nothing_is_appended_through_a_link_or_to_what_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "other").write_text("other")
    make(folder / "odd")
    with pytest.raises(StorageError), append_to(folder / "odd") as file:
        file.write(b"more")
    assert (tmp_path / "outside").read_text() == "secret"
    assert (folder / "other").read_text() == "other"


def test_links_within_a_folder_are_followed_and_so_is_one_that_leads_to_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("text")
    (folder / "link").symlink_to("file")
    (tmp_path / "way").symlink_to("folder")
    way = tmp_path / "way"
    assert read_regular(way / "link", 4, inside=way) == b"text"
    assert is_inside(way / "link", folder)
    assert not list(links_out(way))
    (folder / "out").symlink_to(tmp_path)
    assert list(links_out(way)) == [folder / "out"]
    with pytest.raises(CheckpointError, match="leads out of"):
        require_inside(way / "out", way)
    with pytest.raises(DataError, match="the limit is 3"):
        read_regular(folder / "file", 3)

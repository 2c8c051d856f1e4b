"""Downloads from a server of the test's own: pinned, whole or not at all, once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import published_cases as cases
import pytest

from genkit.data.published.benchmark import Benchmark
from genkit.data.published.download import Download
from genkit.data.sources import cifar10, fashion_mnist, kmnist, mnist, svhn
from genkit.data.sources.cifar100 import cifar100_files
from genkit.data.sources.stacked_mnist import StackedMNIST
from genkit.errors import DataError
from genkit.storage.disk import user_folder

BENCHMARKS = {
    "cifar10": cifar10.CIFAR10_FILES,
    "cifar100": cifar100_files("fine"),
    "svhn": svhn.SVHN_FILES,
    "fashion_mnist": fashion_mnist.FASHION_MNIST_FILES,
    "kmnist": kmnist.KMNIST_FILES,
}


class Server:
    """Files by name, and what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.missing_bytes = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                outer.asked.append(name)
                data = outer.files.get(name)
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write((data or b"")[: len(data or b"") - outer.missing_bytes])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def pins(self) -> tuple[Download, ...]:
        address = f"http://127.0.0.1:{self.server.server_address[1]}/"
        files = self.files.items()
        return tuple(Download(address + name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    found = Server()
    yield found
    found.close()


@pytest.fixture
def cifar(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server of CIFAR-10, for which it is pinned."""
    archive = cases.put_tar(tmp_path / "made.tar.gz", cases.cifar10_binary(), "cifar-10-batches-bin/")
    server.files = {"cifar-10-binary.tar.gz": archive.read_bytes()}
    monkeypatch.setattr(cifar10, "CIFAR10_FILES", replace(cifar10.CIFAR10_FILES, downloads=server.pins()))
    return server


@pytest.mark.parametrize("place", ["root", "environment", "cache"])
def test_a_file_is_fetched_once_and_then_found(
    cifar: Server, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    if place == "environment":
        monkeypatch.setenv("GENKIT_DATA", str(folder))
    root = str(folder) if place == "root" else None
    for _ in range(2):
        data = cifar10.CIFAR10(root, download=True)
        assert [len(data.split(name)) for name in ("train", "val", "test")] == [36, 4, 10]
    assert cifar.asked == ["cifar-10-binary.tar.gz"]
    where = folder if place != "cache" else user_folder() / "downloads"
    assert [file.name for file in where.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_nothing_is_fetched_unless_asked_for(cifar: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.download=true"):
        cifar10.CIFAR10(str(cases.put(tmp_path / "here", {"notes.txt": b"1"})))
    assert cifar.asked == []


def test_pictures_do_not_stand_for_the_original_files(cifar: Server, tmp_path: Path) -> None:
    root = cases.put(tmp_path / "here", {f"cifar10/train/{c}/1.png": b"x" for c in ("cat", "dog")})
    assert len(cifar10.CIFAR10(str(root), download=True).split("test")) == 10
    assert cifar.asked == ["cifar-10-binary.tar.gz"]


def refused(root: Path, reason: str) -> None:
    """One line, which says what to put where, and nothing half-fetched stays."""
    root.mkdir(exist_ok=True)
    with pytest.raises(DataError, match=rf"{reason}.*: put cifar-10-binary\.tar\.gz into .*here yourself") as refusal:
        cifar10.CIFAR10(str(root), download=True)
    assert "\n" not in str(refusal.value)
    assert not list(root.iterdir())


def test_another_file_than_the_published_one_is_refused(cifar: Server, tmp_path: Path) -> None:
    whole = cifar.files["cifar-10-binary.tar.gz"]
    for other in (whole[:-1] + b"\xff", whole + b"1", whole[:100], b""):
        cifar.files["cifar-10-binary.tar.gz"] = other
        refused(tmp_path / "here", "not the published file")


def test_a_connection_that_breaks_is_refused(cifar: Server, tmp_path: Path) -> None:
    cifar.missing_bytes = 1000
    refused(tmp_path / "here", "not the published file|cannot be fetched")


def test_a_file_that_is_not_there_is_refused(cifar: Server, tmp_path: Path) -> None:
    cifar.files.clear()
    refused(tmp_path / "here", r"cannot be fetched \(HTTP Error 404")


def test_without_a_network_one_line_says_what_to_put_where(cifar: Server, tmp_path: Path) -> None:
    cifar.server.server_close()
    refused(tmp_path / "here", "cannot be fetched")


def test_only_missing_files_are_fetched(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = cases.idx_files()
    server.files = dict(files)
    monkeypatch.setattr(kmnist, "KMNIST_FILES", replace(kmnist.KMNIST_FILES, downloads=server.pins()))
    monkeypatch.setattr(mnist, "DOWNLOADS", server.pins())
    there = "train-images-idx3-ubyte.gz"
    cases.put(tmp_path / "here" / "kmnist", {there: files[there]})
    assert len(kmnist.KMNIST(str(tmp_path / "here"), download=True).split("test")) == 10
    assert sorted(server.asked) == sorted(set(files) - {there})
    assert len(mnist.MNIST(str(tmp_path / "here"), download=True).split("test")) == 10
    assert {file.name for file in (tmp_path / "here" / "mnist").iterdir()} == set(files)
    asked = len(server.asked)
    assert len(StackedMNIST(str(tmp_path / "here"), n_train=20, download=True).split("train")) == 20
    assert len(server.asked) == asked


@pytest.mark.parametrize("name", BENCHMARKS)
def test_pins_are_of_files_that_the_benchmark_reads(name: str) -> None:
    benchmark: Benchmark = BENCHMARKS[name]
    names = [file.name for file in benchmark.downloads]
    whole = [form for form in benchmark.forms if all(form.wanted(names).values())]
    assert whole or set(names) <= set(benchmark.archives)
    for file in benchmark.downloads:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.bytes > 1000


def test_pins_of_mnist_are_of_the_files_that_it_reads() -> None:
    assert sorted(mnist.idx_names([file.name for file in mnist.DOWNLOADS])) == sorted(mnist.ARRAYS)

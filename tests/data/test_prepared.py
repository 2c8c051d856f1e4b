"""Prepared data: two that want the same at once prepare it once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from genkit.data.content_split import NAMES
from genkit.data.on_disk import Layout
from genkit.data.prepared import Prepared, Writer, prepare
from genkit.data.split import Examples


def test_of_two_that_want_the_same_at_once_one_prepares_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path))
    said: list[str] = []
    made: list[int] = []
    found: list[Prepared] = []
    begun, wanted = threading.Event(), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        wanted.set()

    def make(writer: Writer) -> None:
        made.append(1)
        begun.set()
        assert wanted.wait(20)
        for name in NAMES:
            writer.split(name, iter([Examples(torch.zeros(1, 2), None)]), Layout(1, (2,), "float32", False))
        writer.describe({"what": "zeros"}, {name: ["x"] for name in NAMES}, {"of": 1})

    def want() -> None:
        found.append(prepare({"of": 1}, make, say))

    first, second = threading.Thread(target=want), threading.Thread(target=want)
    first.start()
    assert begun.wait(20)
    second.start()
    first.join()
    second.join()
    assert made == [1]
    assert said == ["another process prepares the same data: waiting for it"]
    assert [one.about for one in found] == [{"what": "zeros"}] * 2
    assert [path.name for path in (tmp_path / "data").iterdir()] == [found[0].folder.name]

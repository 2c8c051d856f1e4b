"""scripts/gpu_check.py: every part of it, in small on a CPU; on a GPU it would begin with the same calls."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from script import script_named


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_named("gpu_check")


def rows(script: ModuleType, part: str) -> dict[str, str]:
    size = script.QUICK
    return dict(getattr(script, part)(torch.device("cpu"), size, script.Images(size)))


@pytest.mark.parametrize(
    ("part", "what", "seen"),
    [
        ("waits", "waits for the device", "none in"),
        ("resume", "resume", "the others within 0.0e+00"),
        ("sampling", "samples and their batch", "within"),
        ("agreement", "CPU and GPU: samples of a flow", "within 0.0e+00"),
    ],
)
def test_a_part_says_what_it_saw(part: str, what: str, seen: str, script: ModuleType) -> None:
    assert rows(script, part)[what].partition(seen)[1] == seen


@pytest.mark.slow
def test_the_whole(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--device", "cpu", "--quick"])
    script.main()
    table = capsys.readouterr().out
    assert "FAILED" not in table
    assert "| train, + compile |" in table
    assert "bare loop of + compile" in table


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    with pytest.raises(SystemExit, match="there is no GPU that torch can use here"):
        script.main()

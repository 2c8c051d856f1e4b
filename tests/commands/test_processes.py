"""Several processes score as one does, to the last of six digits."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from command_cases import SERVER, _entry, done, refused

from genkit.data.sources import toy

POINTS = 600  # to compare with
SMALL = ("n=75", "bootstrap=7")
# a fixture's run, with every metric of its data, and how many of them it can be scored by at least
CASES = {
    "vae": (
        (
            "metric=[suite/digits8,suite/recon,suite/mnist28,suite/natural]",
            "metric.ndb.bins=20",
            "floor_repeats=2",
            "batch_size=16",
        ),
        15,
    ),
    "flow": (("metric=suite/points2d", "baselines=false", "floor_repeats=1", "batch_size=64"), 8),
}


def records(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "results.json").read_text())["results"]
    return found


def numbers(record: dict[str, Any]) -> list[float]:
    floor = record["floor"] or {"mean": 0.0, "sd": 0.0}
    return [record["value"], *(record["ci95"] or ()), floor["mean"], floor["sd"]]


def by_torchrun(argv: list[str], work: Path) -> str:
    """What two processes say that torchrun starts."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run([sys.executable, "-m", *torchrun, "-m", "genkit", *argv], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def by_fork(argv: list[str], work: Path) -> str:
    """What two processes say that have imported everything."""
    processes, logs = two(argv, work)
    said = "".join(log.read_text() for log in logs)
    assert [process.exitcode for process in processes] == [0, 0], said
    return said


@pytest.mark.parametrize(("case", "start"), [("vae", by_torchrun), ("flow", by_fork)])
def test_two_processes_equal_one(
    case: str,
    start: Callable[[list[str], Path], str],
    work: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(toy, "TEST_N", POINTS)
    metrics, least = CASES[case]
    options = [f"ckpt={request.getfixturevalue(case)}", *metrics, *SMALL, "cache=false"]
    done("eval", *options, "out=one")
    assert start(["eval", *options, f"out={work / 'two'}"], work).count("results: ") == 1
    one, two = records(work / "one"), records(work / "two")
    assert [(r["source"], r["name"], r["status"]) for r in one] == [(r["source"], r["name"], r["status"]) for r in two]
    scored = [(a, b) for a, b in zip(one, two, strict=True) if a["value"] is not None]
    assert len({a["metric"] for a, _ in scored}) >= least
    for a, b in scored:
        assert numbers(b) == pytest.approx(numbers(a), rel=1e-5, abs=1e-9), a["name"]


def one_of_two(rank: int, port: int, argv: list[str], cwd: Path, log: Path, dies: bool) -> None:
    """`genkit argv` as one of two processes, of which the second may be killed when its share is done."""
    from genkit.evaluation import processes

    toy.TEST_N = POINTS
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    if rank == 1 and dies:
        processes._agree = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, return-value]
    _entry(argv, cwd, log, {})


def two(argv: list[str], work: Path, dies: bool = False) -> tuple[list[BaseProcess], list[Path]]:
    """Two processes that have ended, and what they said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = [work.parent / f"log-{rank}" for rank in range(2)]
    starts = [(rank, port, argv, work, logs[rank], dies) for rank in range(2)]
    processes = [SERVER.Process(target=one_of_two, args=start) for start in starts]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [*processes], logs


def test_a_process_that_dies_ends_the_others(vae: Path, work: Path) -> None:
    """With a line and a code, and nothing half-written."""
    argv = ["eval", f"ckpt={vae}", "n=40", "metric=fid", "baselines=false", "out=out", "cache=false"]
    processes, logs = two(argv, work, dies=True)
    said = logs[0].read_text()
    assert [process.exitcode for process in processes] == [1, -signal.SIGKILL], said
    assert said.splitlines()[-1].startswith("genkit: error: another of the 2 processes ended too early")
    assert "Traceback" not in said
    assert not any(work.iterdir())


def test_processes_that_are_not_there_are_one_line(vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "WORLD_SIZE=2" in refused(2, "eval", f"ckpt={vae}", "metric=fid")

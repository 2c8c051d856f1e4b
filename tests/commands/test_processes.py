"""Several processes score as one does, to the last of six digits, and train one run together."""

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
from command_cases import SERVER, Child, Done, _entry, arguments, digest, done, refused, run_json

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


@pytest.mark.parametrize(
    ("case", "start"), [pytest.param("vae", by_torchrun, marks=pytest.mark.slow), ("flow", by_fork)]
)
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
        processes.gathered = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, return-value]
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
    assert "RANK is not set" in refused(2, "eval", f"ckpt={vae}", "metric=fid")


# --- training

DIVERGES = ("optimizer=sgd", "optimizer.lr=1e9", "trainer.gradient_clip=0")
RUN = (
    "trainer.max_steps=6",
    "trainer.val_every_n_steps=3",
    "checkpoint.every_n_steps=2",
    "trainer.log_every_n_steps=1",
)


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def as_torchrun(rank: int, port: str) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_PORT": port}


def as_srun(rank: int, port: str) -> dict[str, str]:
    """Of the second step of a job, on one node."""
    step = {"SLURM_JOB_ID": "4", "SLURM_STEP_ID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1"}
    own = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}
    return step | own | {"SLURM_STEP_NODELIST": "localhost", "MASTER_PORT": port}


def pair(
    argv: list[str],
    work: Path,
    start: Callable[[int, str], dict[str, str]] = as_torchrun,
    signals: dict[int, list[int]] | None = None,
) -> list[Done]:
    """How two processes end that run one command; the second one sends itself these signals."""
    port = free_port()
    sent = ({}, signals or {})
    children = [Child(argv, work, work.parent / f"log{r}", sent[r], start(r, port)) for r in range(2)]
    return [child.wait(120) for child in children]


def same_runs(one: Path, two: Path, but: tuple[str, ...] = ()) -> None:
    """The last checkpoints and all metrics have the same bytes, the files `but` aside."""
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    first, second = (digest(run / "checkpoints" / "step-00000006") for run in (one, two))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name] and name not in but] == []


@pytest.mark.slow
def test_one_run_however_it_is_started(work: Path) -> None:
    """By torchrun, by srun and by genkit itself: one folder, one word each, the same bytes."""
    argv = arguments("gan", *RUN, "trainer.threads=1", "samples.every_n_steps=3", "trainer.accumulate=2")
    for name, start in (("torchrun", as_torchrun), ("srun", as_srun)):
        first, second = pair([*argv, f"run_dir={work / name}"], work, start)
        assert (first.code, second.code) == (0, 0), first.said + second.said
        assert first.said.count("run folder: ") == 1
        assert second.said == ""
    ended = Child([*argv, "trainer.devices=2", f"run_dir={work / 'own'}"], work, work.parent / "log").wait()
    assert ended.code == 0, ended.said
    assert ended.said.count("done: 6 steps") == 1
    assert run_json(work / "own")["processes"] == 2
    assert run_json(work / "own")["examples_seen"] == 6 * 2 * 2 * 32
    for name in ("srun", "torchrun"):
        same_runs(work / "own", work / name, but=("config.json", "manifest.json"))  # which hold the number typed
    assert len(list((work / "own" / "samples").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGUSR1, 138),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, None, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_one_process_ends_both_and_the_run_goes_on_exactly(
    number: int, code: int | None, work: Path
) -> None:
    argv = arguments("vae", *RUN, "trainer.threads=1")
    whole = pair([*argv, f"run_dir={work / 'whole'}"], work)
    assert [end.code for end in whole] == [0, 0], whole
    first, second = pair([*argv, f"run_dir={work / 'cut'}"], work, signals={4: [number]})
    assert (first.code, second.code) == ((1, -9) if code is None else (code, code)), first.said + second.said
    if code is None:
        assert "another of the 2 processes ended too early" in first.said
    assert "Traceback" not in first.said + second.said
    again = pair(["train", f"resume={work / 'cut'}"], work)
    assert [end.code for end in again] == [0, 0], again
    assert "(exact)" in again[0].said
    same_runs(work / "whole", work / "cut")
    other = done("train", f"resume={work / 'cut'}", "trainer.max_steps=8", "trainer.threads=1")
    assert "processes: 2 became 1" in other


@pytest.mark.slow
def test_a_loss_that_one_process_finds_not_finite_is_one_line(work: Path) -> None:
    argv = arguments(
        "vae",
        *RUN,
        "trainer.threads=1",
        "optimizer=sgd",
        "optimizer.lr=1e9",
        "trainer.gradient_clip=0",
        "trainer.devices=2",
    )
    ended = Child([*argv, f"run_dir={work / 'run'}"], work, work.parent / "log").wait()
    assert ended.code == 5, ended.said
    assert ended.said.count("genkit: error: ") == 1
    assert "not finite" in ended.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.devices=3"], "torchrun started 2 processes, 2 on this machine: choose trainer.devices=2"),
        (["trainer.num_nodes=2"], "choose trainer.num_nodes=1"),
        (["-m", "seed=1,2"], "start a sweep once"),
    ],
)
def test_what_disagrees_with_torchrun_is_refused(
    words: list[str], said: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_torchrun(0, "1").items():
        monkeypatch.setenv(name, value)
    assert said in refused(2, *arguments("vae", *words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.devices=1000"], "cores: choose at most that many"),
        (["trainer.devices=0"], "trainer.devices: 0 is not an integer in [1, 4096]"),
        (["trainer.num_nodes=2"], "by torchrun or srun"),
    ],
)
def test_what_this_machine_cannot_have_is_refused(words: list[str], said: str, work: Path) -> None:
    assert said in refused(2, *arguments("vae", *words))


@pytest.mark.slow
def test_samples_do_not_depend_on_how_many_draw_them(vae: Path, work: Path) -> None:
    """Whole batches and a rest, by one process, by genkit's own two and by three that torchrun starts."""
    argv = ["sample", f"ckpt={vae}", "n=45", "batch_size=10"]
    done(*argv, "out=one")
    ended = Child([*argv, "devices=2", "out=two"], work, work.parent / "log").wait()
    assert ended.code == 0, ended.said
    port = free_port()
    ranks = [as_torchrun(r, port) | {"WORLD_SIZE": "3"} for r in range(3)]
    children = [Child([*argv, "out=three"], work, work.parent / f"log{r}", None, ranks[r]) for r in range(3)]
    assert [child.wait().code for child in children] == [0, 0, 0]
    first, second, third = ((work / name / "samples.npz").read_bytes() for name in ("one", "two", "three"))
    assert first == second == third

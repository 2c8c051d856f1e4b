"""Parts of a sweep's own processes that need none."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest

from genkit.config.hydra import cores as cores_of
from genkit.config.hydra import gpus as gpus_of
from genkit.config.hydra import job_process
from genkit.config.hydra.cores import cores
from genkit.config.hydra.gpus import VISIBLE, gpus, least_used
from genkit.config.hydra.job_process import KILLED_AT, Stop
from genkit.signals import ECHO, Unwind, held_back, let_through, take_over
from genkit.storage.tail import last_line

FORK = multiprocessing.get_context("fork")


def test_gpus_are_those_that_the_environment_or_the_driver_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpus_of, "DRIVER", tmp_path)
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    monkeypatch.delenv(VISIBLE, raising=False)
    assert gpus() == ["0", "1"]
    monkeypatch.setenv(VISIBLE, "3, 5,")
    assert gpus() == ["3", "5"]
    monkeypatch.setenv(VISIBLE, "")
    assert gpus() == []


@pytest.mark.parametrize(
    ("there", "used", "chosen"),
    [
        ([], [], None),
        (["0"], [], None),
        (["0", "1"], [], "0"),
        (["0", "1"], ["0"], "1"),
        (["0", "1"], ["0", "1"], "0"),
        (["0", "1"], ["1", None, "0", "0"], "1"),
    ],
)
def test_a_job_gets_the_gpu_that_fewest_use(there: list[str], used: list[str | None], chosen: str | None) -> None:
    assert least_used(there, used) == chosen


def test_hyper_threads_of_a_core_count_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cores_of, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(cores_of.sys, "platform", "linux")
    assert cores() == 4  # where the system does not say
    for number, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        (tmp_path / f"cpu{number}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{number}" / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    assert cores() == 2


def test_a_signal_is_passed_on_once_its_echo_not_and_the_third_one_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, now = list[int](), [100.0]
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    monkeypatch.setattr(job_process.time, "monotonic", lambda: now[0])
    process = SimpleNamespace(pid=1, is_alive=lambda: True)
    stop = Stop()
    stop.pass_on([process])
    for after in (0.0, 0.1, 2 * ECHO, *(2 * ECHO for _ in range(KILLED_AT - 2))):
        now[0] += after
        stop(signal.SIGTERM, None)
        stop.pass_on([process])
        stop.pass_on([process])
    assert stop.received == signal.SIGTERM
    assert sent == [*(signal.SIGTERM for _ in range(KILLED_AT - 1)), signal.SIGKILL]


def test_a_signal_before_the_first_job_ends_the_command_where_it_is() -> None:
    """The first start waits seconds for the server's imports, with nobody to pass a signal on to."""
    stop = Stop()
    stop.at_once = True
    with pytest.raises(SystemExit) as end:
        stop(signal.SIGINT, None)
    assert (end.value.code, stop.received) == (130, signal.SIGINT)


def test_a_job_that_a_signal_finds_without_handlers_receives_it_later() -> None:
    """Signals are held back from the server and so from a job, until the job can end as it should."""
    receiving, sending = FORK.Pipe(duplex=False)
    with held_back():
        process = FORK.Process(target=_born_held_back, args=(sending,))
        process.start()
    sending.close()
    assert receiving.recv() == "not ended"
    process.join(60)
    assert process.exitcode == 143


def _born_held_back(sending: Connection) -> None:
    with held_back():  # as in a server that was started so
        os.kill(os.getpid(), signal.SIGTERM)
        sending.send("not ended")
        take_over(Unwind())
        let_through()
        sending.send("not reached")


def test_a_job_that_a_passed_on_signal_killed_is_interrupted_and_another_one_has_failed(tmp_path: Path) -> None:
    for received, code, line in ((signal.SIGTERM, 143, ""), (0, 143, f"killed by SIGTERM: see {tmp_path / 'log'}")):
        receiving, sending = FORK.Pipe(duplex=False)
        sending.close()  # without a result
        outcome = job_process.outcome_of(receiving, -signal.SIGTERM, tmp_path / "log", received)
        assert outcome.code == code
        assert outcome.line.endswith(line)
        assert bool(outcome.line) is bool(line)


def test_the_last_line_that_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    assert last_line(file) is None
    for text, found in (("", None), ('{"a": 1}', None), ('{"a": 1}\n{"a"', {"a": 1}), ("x\n", None)):
        file.write_text(text)
        assert last_line(file) == found
    file.write_text("".join(f'{{"step": {i}}}\n' for i in range(5000)))
    assert last_line(file) == {"step": 4999}

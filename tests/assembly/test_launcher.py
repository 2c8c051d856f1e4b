"""Processes that end together: failures, signals, and what is said of them. The members here are a line of Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from genkit.assembly import launcher
from genkit.assembly.launcher import Group, ProcessError, _outcome

WAITS = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {WAITS}"


def member(code: str) -> subprocess.Popen[bytes]:
    started = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, process_group=0)
    if code == STUBBORN:
        assert started.stdout is not None
        started.stdout.readline()
    return started


def told(folder: Path, **reports: dict[str, object]) -> Path:
    for rank, report in reports.items():
        (folder / rank.removeprefix("rank")).write_text(json.dumps(report))
    for rank in range(3):
        (folder / f"stderr-{rank}").touch()
    return folder


def test_one_that_fails_ends_those_that_wait_and_those_that_will_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "GRACE", 0.2)
    group = Group([member(WAITS), member("raise SystemExit(5)"), member(STUBBORN)])
    group.wait()
    assert [each.returncode for each in group.members] == [-signal.SIGTERM, 5, -signal.SIGKILL]
    assert group.failed[0] == 1


def test_a_signal_is_passed_on_once_to_all() -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGUSR1, lambda *_: os._exit(138)); print(flush=True); signal.pause()"
    )
    group = Group([member(code), member(code)])
    for each in group.members:
        assert each.stdout is not None
        each.stdout.readline()
    with group.signals_passed_on():
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        group.wait()
    assert [each.returncode for each in group.members] == [138, 138]
    assert group.received == signal.SIGUSR1


@pytest.mark.parametrize(
    ("codes", "reports", "code", "said"),
    [
        ((1, 5), {"rank0": {"line": "error: another", "follows": True}, "rank1": {"line": "error: a loss"}}, 5,
         "process 1: a loss"),
        ((5, 5), {"rank0": {"line": "error: a loss"}, "rank1": {"line": "error: a loss"}}, 5, "a loss"),
        ((1, -9), {"rank0": {"line": "error: another", "follows": True, "again": "genkit train resume=R"}}, 137,
         "process 1 was ended by SIGKILL: the last line; to continue: genkit train resume=R"),
        ((0, 3), {}, 3, "process 1 ended with exit code 3: the last line"),
    ],
)  # fmt: skip
def test_the_line_is_that_of_the_process_that_failed_by_itself(
    codes: tuple[int, ...], reports: dict[str, dict[str, object]], code: int, said: str, tmp_path: Path
) -> None:
    folder = told(tmp_path, **reports)
    (folder / "stderr-1").write_text("a warning\nthe last line\n")
    group = Group(
        [member(f"import os; os.kill(os.getpid(), {-c})" if c < 0 else f"raise SystemExit({c})") for c in codes]
    )
    group.wait()
    group.failed.sort()
    with pytest.raises(ProcessError) as raised:
        _outcome(group, folder)
    assert (str(raised.value), raised.value.exit_code) == (said, code)


def test_the_result_is_that_of_the_first(tmp_path: Path) -> None:
    group = Group([member(""), member("")])
    group.wait()
    assert _outcome(group, told(tmp_path, rank0={"result": ["a", 1.5]}, rank1={"result": None})) == ["a", 1.5]


def test_a_launcher_that_is_gone_ends_its_processes() -> None:
    """The descriptor that only the launcher holds open comes to its end."""
    read, write = os.pipe()
    code = f"from genkit.environment import watch_launcher; watch_launcher(); print(flush=True); {WAITS}"
    watching = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=os.environ | {"GENKIT_LIFELINE": str(read)},
        pass_fds=[read],
    )
    assert watching.stdout is not None
    watching.stdout.readline()
    time.sleep(0.05)
    assert watching.poll() is None
    os.close(write)
    assert watching.wait(20) == -signal.SIGTERM
    os.close(read)

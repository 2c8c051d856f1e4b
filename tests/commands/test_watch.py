"""`genkit watch`: a page that follows a run on a server of this machine, and ends with it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser
from command_cases import Child, done, genkit, refused

from genkit.assembly.watched_run import WatchedRun, newest_running
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.run_folder import RunFolder
from genkit.web.server import LocalServer

CONFIG = "schema: genkit.config/4\nseed: 0\nplugins: []\n"


@pytest.fixture
def running(work: Path) -> Iterator[RunFolder]:
    """A run that this process seems to train."""
    with RunFolder.create(
        "outputs/train/run", "train", "vae-toy", config=CONFIG, info={"seed": 0, "label": "vae-toy"}
    ) as folder:
        log(folder, 10)
        yield folder


def log(folder: RunFolder, step: int) -> None:
    MetricsLog(folder.path / "metrics.jsonl").append(step, {"train/loss": 1 / step})


def ask(address: str, path: str) -> str:
    with urllib.request.urlopen(address + path, timeout=20) as reply:
        text: str = reply.read().decode()
        return text


def test_the_page_is_newer_when_there_is_something_new(running: RunFolder) -> None:
    watched = WatchedRun(running.path)
    assert newest_running() == Path("outputs/train/run")
    with LocalServer(watched.routes()) as server:
        first = json.loads(ask(server.address, "state"))
        assert first == {"stamp": watched.stamp, "ended": False}
        page = ask(server.address, "")
        assert f'data-stamp="{first["stamp"]}"' in page
        assert "connect-src 'self'" in page
        assert page == ask(server.address, "page")
        log(running, 20)
        second = json.loads(ask(server.address, "state"))
        assert second["stamp"] != first["stamp"]
        assert "<dd>20</dd>" in ask(server.address, "page")
        assert not watched.told.is_set()
        running.update(status="done", exit_code=0)
        assert json.loads(ask(server.address, "state"))["ended"]
        assert watched.told.is_set()
    assert "connect-src" not in done("report", str(running.path)) + (running.path / "report.html").read_text()


@pytest.mark.slow
def test_a_browser_follows_a_run(running: RunFolder, browser: Browser) -> None:
    watched = WatchedRun(running.path)
    with LocalServer(watched.routes()) as server:
        page = browser.page(server.address)
        step = "document.querySelectorAll('.tiles dd')[1].textContent"
        assert page.run(step) == "10"
        for number in (20, 30):
            log(running, number)
            page.until(f"{step} === '{number}'")
        assert page.run("document.querySelectorAll('polyline').length") == 1
        running.update(status="done", exit_code=0)
        page.until("document.querySelector('.tiles dd').textContent === 'done'")
        assert watched.told.wait(20)
        assert page.problems == []


def started(work: Path, *words: str) -> tuple[Child, str]:
    """The command in a process of its own, and the address that it says."""
    child = Child(["watch", *words, "open=false"], work, work.parent / "log")
    for _ in range(600):
        text = child.log.read_text() if child.log.exists() else ""
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", text):
            return child, found[0]
        time.sleep(0.1)
    raise AssertionError(f"no address: {text}")


def test_an_interrupt_ends_it_and_not_the_training(running: RunFolder, work: Path) -> None:
    child, address = started(work)
    assert "vae on toy" in ask(address, "")
    assert child.process.pid is not None
    os.kill(child.process.pid, signal.SIGINT)
    ended = child.wait()
    assert ended.code == 130, ended.said
    assert "Traceback" not in ended.said
    assert WatchedRun(running.path).running


def test_it_ends_with_the_run_and_says_so(running: RunFolder, work: Path) -> None:
    child, address = started(work, str(running.path))
    assert not json.loads(ask(address, "state"))["ended"]
    running.update(status="done", exit_code=0)
    assert json.loads(ask(address, "state"))["ended"]
    ended = child.wait()
    assert ended.code == 0, ended.said
    assert ended.said.endswith("the training has ended at step 10: done\n")


def test_what_cannot_be_watched_is_one_line(running: RunFolder, work: Path) -> None:
    running.update(status="done")
    assert "nothing to follow" in done("watch", "outputs/train/run")
    assert "is being trained" in refused(2, "watch")
    assert "port=x" in refused(2, "watch", "outputs/train/run", "port=x")
    assert "open=maybe" in refused(2, "watch", "outputs/train/run", "open=maybe")
    assert "did you mean port" in refused(2, "watch", "outputs/train/run", "prt=80")
    assert "one run at a time" in refused(2, "watch", "outputs", "outputs/train")
    assert "usage: genkit watch" in genkit("watch", "--help").out

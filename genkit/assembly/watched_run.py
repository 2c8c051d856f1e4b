"""A run that is being trained, as pages for its own server: each made once for what the folder then held."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from genkit.assembly.run_facts import facts_of
from genkit.assembly.run_report import page_of
from genkit.checkpoint import lock
from genkit.checkpoint.newest import ROOT
from genkit.checkpoint.place import runs_below
from genkit.checkpoint.run_folder import METRICS, RUN, read_info
from genkit.errors import ConfigError, GenkitError
from genkit.printing import shown
from genkit.report.page.run_page import run_page
from genkit.web.messages import Reply, Request, Route

RUNNING = "running"


class WatchedRun:
    """Answers the questions of a page that follows a run; several threads may ask.

    Arguments:
        path: The run folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = False  # whether any page follows it
        self.told = threading.Event()  # whether a page knows that the run has ended
        self._lock = threading.Lock()
        self._page = ("", "")

    @property
    def running(self) -> bool:
        """Tell whether a process trains it."""
        return is_running(self.path)

    @property
    def stamp(self) -> str:
        """A word that changes whenever there is something new to show."""
        files = [self.path / METRICS, self.path / RUN, *sorted(self.path.glob("samples/*.png"))]
        marks = [(path.name, found.st_size, found.st_mtime_ns) for path in files if (found := _stat(path))]
        return hashlib.sha256(repr((marks, self.running)).encode()).hexdigest()[:16]

    def routes(self) -> dict[str, Route]:
        """The page, the page again, and whether there is a newer one."""
        return {"": self._answer_page, "page": self._answer_page, "state": self._answer_state}

    def page(self) -> str:
        """The page of what the folder holds now."""
        with self._lock:
            stamp = self.stamp
            if self._page[0] != stamp:
                self._page = stamp, run_page(page_of(facts_of(self.path)), stamp)
            return self._page[1]

    def _answer_page(self, request: Request) -> Reply:
        return Reply.page(self.page())

    def _answer_state(self, request: Request) -> Reply:
        self.asked, ended = True, not self.running
        reply = Reply.of_json({"stamp": self.stamp, "ended": ended})
        if ended:
            self.told.set()
        return reply


def is_running(run: Path) -> bool:
    """Tell whether a process trains the run in a folder."""
    try:
        return read_info(run / RUN)["status"] == RUNNING and lock.living_owner(run) is not None
    except GenkitError:
        return False


def newest_running(root: Path = ROOT) -> Path:
    """The run that was begun last of those that are being trained; raises ConfigError where there is none."""
    folders = [root, *(entry for entry in root.glob("*") if not (entry / RUN).is_file())]
    running = [run for folder in folders for run in runs_below(folder) if is_running(run)]
    if not running:
        raise ConfigError(f"genkit watch: no run below {shown(root)} is being trained: name one, genkit watch RUN")
    return max(running, key=lambda run: str(read_info(run / RUN).get("started")))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None

"""`genkit watch RUN`: the report of a running training in the browser, newer whenever there is something new.

RUN is the folder of a run; without one it is the newest that is being trained. The page comes from a server on this
machine alone, at an address that cannot be guessed; the command ends when the training does, or with Ctrl-C, which
leaves the training alone. port=8000 chooses the port, open=false opens no browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console

from genkit.assembly.run_facts import RunFacts, facts_of
from genkit.assembly.run_folders import runs_of
from genkit.assembly.run_report import write_report
from genkit.assembly.watched_run import WatchedRun, newest_running
from genkit.config.path_words import paths_and_options
from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.web.browser import open_page
from genkit.web.port import port_of
from genkit.web.server import LocalServer

USAGE = "genkit watch [RUN] [port=PORT] [open=true]"
KEYS = ("port", "open", "debug")
LOOK = 0.5  # seconds between looks at the run
FAREWELL = 5.0  # seconds at most, in which pages learn that it has ended


@dataclass(frozen=True)
class WatchSettings:
    """Of `genkit watch`.

    Attributes:
        path: Of the run; None: the newest that is being trained.
        port: Of the loopback device; 0: any that is free.
        open_browser: Whether to open the page.
    """

    path: Path | None
    port: int
    open_browser: bool

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """A word that exists as a path is always one; raises ConfigError for what is none of these."""
        paths, options = paths_and_options(argv, KEYS, USAGE)
        if len(paths) > 1:
            raise ConfigError(f"genkit watch: one run at a time, and {len(paths)} are named; usage: {USAGE}")
        port, opened = port_of(options.get("port", "0")), options.get("open", "true").lower()
        if opened not in ("true", "false"):
            raise ConfigError(f"open={opened}: true or false")
        return cls(paths[0] if paths else None, port, opened == "true")


def run(argv: list[str]) -> int:
    """Serve the page until the run ends.

    Raises:
        CheckpointError: a folder that is no run.
        ConfigError: an unknown argument, several runs, no run that is being trained, or a port that is taken.
    """
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}\n\n{__doc__.partition(chr(10))[2].strip()}" if __doc__ else USAGE)
        return 0
    settings, console = WatchSettings.of(argv), make_console()
    path = newest_running() if settings.path is None else _one(settings.path)
    watched = WatchedRun(path)
    if not watched.running:
        console.print(f"{_ended(facts_of(path))}: nothing to follow", soft_wrap=True, highlight=False)
        console.print(f"report: {shown(write_report(path))}", soft_wrap=True, highlight=False)
        return 0
    _serve(watched, settings, console)
    return 0


def _serve(watched: WatchedRun, settings: WatchSettings, console: Console) -> None:
    with LocalServer(watched.routes(), port=settings.port) as server:
        line = f"watch {shown(watched.path)} at {server.address} (Ctrl-C ends, the training goes on)"
        console.print(line, soft_wrap=True, highlight=False)
        looked_at = settings.open_browser and open_page(server.address)
        while watched.running:
            if server.wait(LOOK):
                return
        console.print(_ended(facts_of(watched.path)), soft_wrap=True, highlight=False)
        watched.told.wait(FAREWELL if looked_at or watched.asked else 0.0)


def _one(path: Path) -> Path:
    runs = runs_of(path)
    if len(runs) > 1:
        names = ", ".join(shown(run) for run in runs[:3])
        raise ConfigError(f"genkit watch: {shown(path)} holds {len(runs):,} runs: name one of them: {names}")
    return runs[0]


def _ended(facts: RunFacts) -> str:
    """ "runs/vae: the training has ended at step 600: done"."""
    return f"{shown(facts.path)}: the training has ended at step {facts.step:,}: {facts.status}"

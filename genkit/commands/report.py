"""`genkit report RUN…`: a page that explains a run, or compares several; a file that needs nothing else.

RUN is the folder of a run or of a sweep; without one it is the newest finished run. A run's page is RUN/report.html,
which training writes too: type the command again when there are new scores, or when the folder was moved. Several runs
make one page that compares them. scores=FOLDER,… adds results of `genkit eval` that lie elsewhere; out=FILE.html is
where the page goes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from genkit.assembly.closing_lines import REPORT
from genkit.assembly.comparison_report import sweep_command, write_comparison
from genkit.assembly.output_folder import make_out
from genkit.assembly.run_folders import named_runs
from genkit.assembly.run_report import write_report
from genkit.checkpoint.newest import newest_run
from genkit.checkpoint.place import is_run_folder
from genkit.config.path_words import paths_and_options, scores_named
from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.storage.disk import storage_errors

USAGE = "genkit report [RUN…] [scores=RESULTS,…] [out=FILE.html]"
KEYS = ("out", "scores", "debug")
SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class ReportSettings:
    """Of `genkit report`.

    Attributes:
        paths: Folders of runs and sweeps.
        scores: Files and folders of results.
        out: The file to write; None: report.html in the folder.
    """

    paths: tuple[Path, ...]
    scores: tuple[Path, ...]
    out: Path | None

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """A word that exists as a path is always one; raises ConfigError for an unknown key."""
        paths, options = paths_and_options(argv, KEYS, USAGE)
        out = None if (named := options.get("out")) is None else os.path.expanduser(named)
        if out is not None and not out.lower().endswith(SUFFIXES):
            raise ConfigError(f"out={out}: a page is a file: name it like out={Path(out) / REPORT}")
        scores = scores_named(options.get("scores", ""))
        return cls(paths, scores, None if out is None else Path(out))


def run(argv: list[str]) -> int:
    """Write the page and print where it is.

    Raises:
        CheckpointError: a folder that is neither a run nor a sweep.
        ConfigError: an unknown argument, or no run at all.
        StorageError: the page cannot be written.
    """
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}\n\n{__doc__.partition(chr(10))[2].strip()}" if __doc__ else USAGE)
        return 0
    settings = ReportSettings.of(argv)
    page = write(settings)
    console = make_console()
    console.print(f"report: {shown(page)}", soft_wrap=True, highlight=False)
    return 0


def write(settings: ReportSettings) -> Path:
    """Write the page that the settings ask for; returns its path."""
    paths = settings.paths or (newest_run("report"),)
    runs = named_runs(paths, "report")
    if settings.out is not None:
        with storage_errors(settings.out):
            settings.out.parent.mkdir(parents=True, exist_ok=True)
    if len(runs) == 1 and is_run_folder(paths[0].absolute()):
        return write_report(runs[0], settings.out, settings.scores)
    if len(paths) == 1:
        folder, target = paths[0], settings.out or paths[0] / REPORT
        return write_comparison(runs, target, folder, settings.scores, sweep_command(folder))
    if settings.out is not None:
        return write_comparison(runs, settings.out, scores=settings.scores)

    def fill(folder: Path) -> None:
        write_comparison(runs, folder / REPORT, scores=settings.scores)

    return make_out(None, "report", f"{len(runs)}-runs", fill) / REPORT

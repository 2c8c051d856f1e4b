"""`genkit diagnose RUN…`: what is wrong with a training, in sentences: what was seen, how sure, what to change.

RUN is the folder of a run or of a sweep; without one it is the newest finished run. The rules read what the run
recorded while training and the scores of `genkit eval`; n=500 samples are drawn from its checkpoint too and laid beside
its training data, to see whether they are copies: n=0 leaves that out, device=cpu chooses where. scores=FOLDER,… adds
results that lie elsewhere, plugins=[PACKAGE] names where the classes of the checkpoint come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console

from genkit.assembly.diagnosis import faults_of, tell
from genkit.assembly.recorded_scores import results_of
from genkit.assembly.run_evidence import note_measured
from genkit.assembly.run_facts import RunFacts, facts_of
from genkit.assembly.run_folders import named_runs
from genkit.assembly.run_report import write_report
from genkit.checkpoint.retention import step_folders
from genkit.config.path_words import listed, paths_and_options, scores_named
from genkit.errors import ConfigError, GenkitError, StorageError
from genkit.printing import shown
from genkit.report.console import make_console

USAGE = "genkit diagnose [RUN…] [n=500] [scores=RESULTS,…] [device=auto] [plugins=[…]]"
KEYS = ("n", "scores", "device", "plugins", "debug")
LARGEST_N = 100_000


@dataclass(frozen=True)
class DiagnoseSettings:
    """Of `genkit diagnose`.

    Attributes:
        paths: Folders of runs and sweeps.
        n: Samples that are drawn; 0: none.
        scores: Files and folders of results.
        device: Where they are drawn.
        plugins: Packages that classes may come from.
    """

    paths: tuple[Path, ...]
    n: int
    scores: tuple[Path, ...]
    device: str
    plugins: tuple[str, ...]

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """A word that exists as a path is always one; raises ConfigError for what is none of these."""
        paths, options = paths_and_options(argv, KEYS, USAGE)
        n = options.get("n", "500")
        if not n.isdecimal() or not n.isascii() or int(n) > LARGEST_N:
            raise ConfigError(f"n={n}: the number of samples, 0 to {LARGEST_N:,}")
        scores = scores_named(options.get("scores", ""))
        plugins = tuple(listed(options.get("plugins", "")))
        return cls(paths, int(n), scores, options.get("device", "auto"), plugins)


def run(argv: list[str]) -> int:
    """Print the diagnosis of each run.

    Raises:
        CheckpointError: a folder that is neither a run nor a sweep.
        ConfigError: an unknown argument, no run at all, or a device that is not there.
    """
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}\n\n{__doc__.partition(chr(10))[2].strip()}" if __doc__ else USAGE)
        return 0
    settings, console = DiagnoseSettings.of(argv), make_console()
    runs = named_runs(settings.paths, "diagnose")
    for i, path in enumerate(runs):
        if len(runs) > 1:
            console.print(f"{'' if i == 0 else chr(10)}{shown(path)}", soft_wrap=True, highlight=False)
        _diagnose(path, settings, console)
    return 0


def _diagnose(path: Path, settings: DiagnoseSettings, console: Console) -> None:
    facts = facts_of(path)
    if settings.n and step_folders(path):
        _measure(facts, settings, console)
    faults = faults_of(facts, results_of([path], settings.scores))
    tell(console, faults, facts)
    with suppress(StorageError):  # a run that may only be read has no page of its own
        console.print(f"report: {shown(write_report(path, scores=settings.scores))}", soft_wrap=True, highlight=False)


def _measure(facts: RunFacts, settings: DiagnoseSettings, console: Console) -> None:
    """Draw samples and note how many are copies; what forbids it is said."""
    from genkit.assembly.copy_measurement import measured
    from genkit.assembly.restore import restore
    from genkit.assembly.sampling_model import dataset_of, device_of

    device = device_of(settings.device)
    try:
        found = restore(str(facts.path), plugins=settings.plugins)
        found.model.requires_grad_(False).to(device)
        numbers = measured(found, dataset_of(found, {}, settings.plugins), settings.n)
    except GenkitError as error:
        console.print(f"not measured whether samples are copies: {error}", style="yellow", soft_wrap=True)
        return
    with suppress(StorageError):
        note_measured(facts, numbers)

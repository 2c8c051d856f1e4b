"""`genkit log RUN to=tensorboard|wandb|mlflow`: hand a run's metrics, configuration and pictures over to a logger.

What the logger has is not handed over again: of a run that goes on, the next call adds what is new; of one that was
rolled back, it first takes back what no longer holds. Of a sweep's folder every run is handed over.
"""

from __future__ import annotations

from pathlib import Path

from genkit.assembly.logged_run import delivery_of, logged_run
from genkit.checkpoint import lock
from genkit.checkpoint.manifest import MANIFEST
from genkit.checkpoint.place import is_run_folder, locate, runs_below
from genkit.config.build import build
from genkit.config.settings import LogSettings
from genkit.errors import CheckpointError, GenkitError, StorageError
from genkit.loggers.base import RunLogger
from genkit.loggers.delivery import Delivery, Sent
from genkit.printing import one_line, shown


def run(settings: LogSettings) -> None:
    """Print a line for each run.

    Raises:
        CheckpointError: there is no run, or it is damaged.
        ConfigError: the logger's package is missing.
        StorageError: the logger fails, or another process hands the run over.
    """
    logger = _logger(settings)
    logger.require()
    assert settings.ckpt is not None  # where none was named, the newest run
    runs = _runs(Path(settings.ckpt))
    for path in runs:
        over = lock.living_owner(path) is None
        sent = _handed_over(delivery_of(path, _logger(settings)), over)
        print(f"{shown(path)}: {_told(sent, logger.folder)}{'' if over else '; it is being trained'}")
    if command := logger.shown_by(logged_run(runs[0])):
        print(f"next:\n  {command}")


def _logger(settings: LogSettings) -> RunLogger:
    return build(settings.logger, at="logger", expect=RunLogger, plugins=tuple(settings.plugins))


def _runs(path: Path) -> list[Path]:
    """The run of this folder, or the runs of a sweep's."""
    folder = path.absolute()
    if is_run_folder(folder):
        return [folder]
    if not (folder / MANIFEST).exists() and (runs := runs_below(folder)):
        return runs
    run = locate(path).run
    named = "" if run is None else f", {shown(run)}"
    raise CheckpointError(f"{shown(path)}: a checkpoint, which has no metrics: name its run{named}")


def _handed_over(delivery: Delivery, over: bool) -> Sent:
    try:
        sent = delivery.advance(over)
        delivery.close()
        return sent
    except GenkitError:
        delivery.abandon()
        raise
    except Exception as error:
        delivery.abandon()
        reason = f"{type(error).__name__}: {one_line(str(error), 300)}"
        raise StorageError(f"{delivery.logger.folder}: {reason}: type the command again for the rest") from error


def _told(sent: Sent, name: str) -> str:
    back = "" if sent.taken_back is None else f"the run went back to step {sent.taken_back:,}: "
    if not sent.lines and not sent.pictures:
        return f"{back}nothing new for {name}, which has all up to step {sent.step:,}"
    return f"{back}{sent.lines:,} lines up to step {sent.step:,} and {sent.pictures:,} pictures for {name}"

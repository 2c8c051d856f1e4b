"""Weights & Biases: offline runs in `wandb/` of the run folder, or online ones (https://docs.wandb.ai).

Offline, each process that hands something over leaves a folder `offline-run-<time>-<id>`, and `wandb sync` sends all of
them to one run: the id is the same in each. A step is one row of its history, whose numbers only grow,
as a server demands. What is handed over reaches the disk when the run is closed, not before, so a folder that was not
closed is deleted and written again. What was synced cannot be taken back: a run that went another way has another id.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genkit.loggers.base import LoggedRun, RunLogger
from genkit.printing import shell_word
from genkit.storage.atomic import discard

if TYPE_CHECKING:
    from wandb import Run

QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}  # the first: no report of its faults to its makers
CLOSED = ".closed"  # in a folder that was closed


class WandB(RunLogger):
    """Weights & Biases, offline in the run folder or online: scalars, configuration, pictures, summary.

    Args:
        project: Of the run; the name of a sweep is its group.
        entity: Account or team; None: the user's own.
        online: Send while training; else `wandb sync` sends later.
    """

    folder: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"
    keeps_at: ClassVar[str] = "close"
    whole_steps: ClassVar[bool] = True

    def __init__(self, project: str = "genkit", entity: str | None = None, online: bool = False) -> None:
        self.project, self.entity, self.online = project, entity, online
        self.row: dict[str, Any] = {}
        self.at = 0  # the step of the row

    @property
    def local(self) -> bool:
        return not self.online

    def destination(self, run: LoggedRun) -> str:
        return f"{self.entity}/{self.project}" if self.online else ""

    def open(self, run: LoggedRun, after: int | None) -> None:
        for folder in self._offline(run):
            if not (folder / CLOSED).exists():
                discard(folder)
        while (run.path / self.folder / f"offline-run-{time.strftime('%Y%m%d_%H%M%S')}-{run.key}").exists():
            time.sleep(0.05)  # the name of a folder is the second in which it was made
        with _quiet():
            import wandb

            self.run: Run = wandb.init(
                project=self.project,
                entity=self.entity,
                dir=str(run.path),
                id=run.key,
                name=run.name,
                group=run.group,
                tags=[run.label[:64]],
                resume="allow",
                reinit="create_new",
                mode="online" if self.online else "offline",
                settings=wandb.Settings(
                    console="off",
                    silent=True,
                    save_code=False,
                    disable_code=True,
                    disable_git=True,
                    symlink=False,
                    x_disable_stats=True,
                    x_disable_meta=True,
                    init_timeout=30,
                    login_timeout=5,
                ),
            )
        self.written = Path(self.run.dir).parent
        # a link out of the run folder, through which nobody would resume the run
        (self.written / "logs" / "debug-core.log").unlink(missing_ok=True)

    def configuration(self, step: int, run: LoggedRun) -> None:
        self.run.config.update(dict(run.parameters), allow_val_change=True)

    def scalars(self, step: int, values: Mapping[str, float], time: float) -> None:
        self._row_of(step).update(values)

    def picture(self, step: int, tag: str, file: Path) -> None:
        import wandb

        self._row_of(step)[tag] = wandb.Image(str(file))

    def end(self, step: int, facts: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        self._commit()
        self.run.summary.update({**facts, **scores})

    def flush(self) -> None:
        self._commit()

    def close(self, whole: bool) -> None:
        self._commit()
        with _quiet():
            self.run.finish()
        if whole and not self.online:
            (self.written / CLOSED).touch()

    def discard(self, run: LoggedRun) -> None:
        for folder in self._offline(run):
            discard(folder)

    def shown_by(self, run: LoggedRun) -> str:
        return "" if self.online else f"wandb sync {shell_word(str(run.path / self.folder))}/offline-run-*-{run.key}"

    def _row_of(self, step: int) -> dict[str, Any]:
        if step > self.at:
            self._commit()
            self.at = step
        return self.row

    def _commit(self) -> None:
        if self.row:
            self.run.log(self.row, step=self.at, commit=True)
            self.row = {}

    def _offline(self, run: LoggedRun) -> list[Path]:
        """The folders of this run that no server has."""
        found = (run.path / self.folder).glob(f"offline-run-*-{run.key}")
        return [folder for folder in found if not any(folder.glob("*.synced"))]


@contextmanager
def _quiet() -> Iterator[None]:
    """Variables of the environment that wandb reads where it starts."""
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

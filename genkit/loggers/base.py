"""The contract of a logger: a few calls, in the order in which a `Delivery` makes them.

    open → configuration → scalars, picture, scalars, … → flush → scalars, … → end → flush → close

What was handed over is remembered in the run folder (`genkit.loggers.journal`), so that the next delivery goes on
behind it. A run that went another way than what was handed over is taken back: a logger that `forgets` is opened with
the last step that still holds; from any other one the whole run is taken (`discard`), to be handed over from the
beginning under a new key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from genkit.component import Component
from genkit.errors import ConfigError


@dataclass(frozen=True)
class LoggedRun:
    """The run that is handed over.

    Attributes:
        path: Its folder, absolute.
        id: 16 hexadecimal digits, the same for as long as the run exists, wherever its folder is moved.
        group: The name of the sweep that it is a job of, None where it is none.
        label: What is trained, e.g. "vae-digits".
        started: When it began, seconds since 1970.
        parameters: Its configuration, each dotted key with its value.
        text: Its config.yaml.
        generation: How often it was handed over from the beginning again.
    """

    path: Path
    id: str
    group: str | None
    label: str
    started: float
    parameters: Mapping[str, Any]
    text: str
    generation: int = 0

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def key(self) -> str:
        """Its name in a logger: the id, and which time it is handed over where that is not the first."""
        return self.id if self.generation == 0 else f"{self.id}-{self.generation + 1}"


class RunLogger(Component, ABC):
    """A tool that takes the metrics of a run, and what else it can show of it.

    Its constructor opens nothing. A call that fails raises; what was not surely taken is handed over again, with the
    same steps and times, so a logger which forgets nothing must take the same scalars twice as once.

    Attributes:
        folder: The name of its own folder in the run folder.
        package: The package that must be installed, "" for none.
        forgets: Whether `open` drops the steps after a given one.
        keeps_at: The call after which a kill of the process loses nothing.
        whole_steps: Whether all lines of a step are to come at once, so that the last step waits for the next one.
    """

    folder: ClassVar[str]
    package: ClassVar[str] = ""
    forgets: ClassVar[bool] = False
    keeps_at: ClassVar[str] = "flush"  # or "close"
    whole_steps: ClassVar[bool] = False

    @property
    def local(self) -> bool:
        """Tell whether it writes only where the user, not the run folder, says, and sends nothing away.

        A run that is resumed goes on with such a logger; any other one must be typed again.
        """
        return False

    def require(self) -> None:
        """Raises ConfigError where its package is not installed."""
        if self.package and find_spec(self.package) is None:
            own = type(self).__module__.startswith("genkit.")
            advice = f"pip install 'genkit-toolkit[{self.folder}]'" if own else "install it"
            raise ConfigError(
                f"logger: {type(self).__name__} needs the package {self.package}, which is not installed: {advice}, "
                "or choose another logger"
            )

    def destination(self, run: LoggedRun) -> str:
        """Name the place that it writes to, "" for the run folder; to another place the whole run is handed over."""
        return ""

    @abstractmethod
    def open(self, run: LoggedRun, after: int | None) -> None:
        """Begin, or go on.

        Args:
            run: The run.
            after: What was handed over of steps after this one no longer holds; None: all holds.
        """

    def configuration(self, step: int, run: LoggedRun) -> None:
        """Take `run.parameters` and `run.text`, which hold from this step on."""

    @abstractmethod
    def scalars(self, step: int, values: Mapping[str, float], time: float) -> None:
        """Take a line of metrics.jsonl.

        Args:
            step: Optimizer steps done; lines come in the order of their steps, and several may have the same.
            values: Tag, such as "val/loss", -> value, which may be infinite or NaN.
            time: When it was handed over first, seconds since 1970.
        """

    def picture(self, step: int, tag: str, file: Path) -> None:
        """Take a PNG file of this step, after the step's lines."""

    def end(self, step: int, facts: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Take what is known of a run that is over: facts such as "status" and "wall_time", and final scores."""

    def flush(self) -> None:
        """Return when what was taken is where it belongs."""

    @abstractmethod
    def close(self, whole: bool) -> None:
        """Let everything go; called once after `open`.

        Args:
            whole: No call failed, so that all that was handed over has been taken when this returns.
        """

    def discard(self, run: LoggedRun) -> None:
        """Delete what was handed over of the run under its key, as far as that can be done, and if there is any."""

    def shown_by(self, run: LoggedRun) -> str:
        """Spell the command that shows what was logged, "" for none."""
        return ""

"""TensorBoard: event files in `tensorboard/` of the run folder (https://www.tensorflow.org/tensorboard).

Event files are only ever appended to. A new one that says that a session starts at step s makes every reader drop what
files before it, in the order of their names, hold of the steps from s on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genkit.loggers.base import LoggedRun, RunLogger
from genkit.printing import shell_word

if TYPE_CHECKING:
    from torch.utils.tensorboard import FileWriter

PLAIN = (bool, int, float, str)  # values that hyperparameters may have

_EVENTS = re.compile(r"events\.out\.tfevents\.([0-9]{10})\..*")  # the second in which it was made


class TensorBoard(RunLogger):
    """TensorBoard event files in the run folder: scalars, hyperparameters, pictures, final scores."""

    folder: ClassVar[str] = "tensorboard"
    package: ClassVar[str] = "tensorboard"
    forgets: ClassVar[bool] = True

    @property
    def local(self) -> bool:
        return True

    def open(self, run: LoggedRun, after: int | None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from torch.utils.tensorboard import FileWriter

        folder = run.path / self.folder
        _wait_for_a_later_name(folder)
        self.writer: FileWriter = FileWriter(str(folder))
        if after is not None:
            self.writer.add_event(Event(session_log=SessionLog(status=SessionLog.START)), after + 1)

    def configuration(self, step: int, run: LoggedRun) -> None:
        from torch.utils.tensorboard.summary import hparams, text

        values = {key: value if isinstance(value, PLAIN) else str(value) for key, value in run.parameters.items()}
        experiment, start, _ = hparams(values, {})
        for summary in (experiment, start, text("config.yaml", f"```yaml\n{run.text}\n```")):
            self.writer.add_summary(summary, step)

    def scalars(self, step: int, values: Mapping[str, float], time: float) -> None:
        from torch.utils.tensorboard.summary import scalar

        for tag, value in values.items():
            self.writer.add_summary(scalar(tag, value), step, time)

    def picture(self, step: int, tag: str, file: Path) -> None:
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        with Image.open(file, formats=["PNG"]) as picture:  # reads the header alone
            width, height = picture.size
        image = Summary.Image(encoded_image_string=file.read_bytes(), width=width, height=height, colorspace=3)
        self.writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def end(self, step: int, facts: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        from torch.utils.tensorboard.summary import text

        rows = "\n".join(f"| {key} | {value} |" for key, value in [*facts.items(), *scores.items()])
        self.writer.add_summary(text("end", f"| | |\n|---|---|\n{rows}"), step)
        self.scalars(step, scores, time.time())

    def flush(self) -> None:
        self.writer.flush()

    def close(self, whole: bool) -> None:
        self.writer.close()

    def shown_by(self, run: LoggedRun) -> str:
        return f"tensorboard --logdir {shell_word(str(run.path))}"


def _wait_for_a_later_name(folder: Path) -> None:
    """Let the second pass in which an event file here was made, since files are read in the order of their names."""
    made = [int(match[1]) for entry in folder.iterdir() if (match := _EVENTS.fullmatch(entry.name))]
    if made and 0 <= max(made) - int(time.time()) < 2:
        time.sleep(max(made) + 1 - time.time())

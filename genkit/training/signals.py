"""SIGTERM and SIGINT while training: a flag, which the step boundary turns into a checkpoint and an exit code.

Installed by the runner in `on_train_start`, because Lightning replaces handlers when `fit` begins. A second SIGINT
stops at once, as `StopNow`: a KeyboardInterrupt would be caught by Lightning, which then exits with its own code.
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

GRACE = 5.0  # seconds that a validation may go on after a signal: cut short, its step would be lost


class StopNow(BaseException):
    """A second SIGINT, or a step boundary that is too far away: the checkpoint written last is where to go on."""


class StopSignal:
    """Remembers the first SIGTERM or SIGINT.

    Attributes:
        received: The signal's number, 0 while none came.
        asked: Set by code that wants the stop which a signal would cause.
    """

    def __init__(self) -> None:
        self.received = 0
        self.asked = False
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Takes over both signals; `restore` gives them back."""
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.signal(number, self._on_signal)
            self._before.setdefault(number, before)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @property
    def wanted(self) -> bool:
        """Whether to stop at the next step boundary."""
        return self.asked or self.received != 0

    def refuse_to_wait(self) -> None:
        """Raises StopNow where a signal came longer than `GRACE` ago."""
        if self.received and time.monotonic() - self._at > GRACE:
            raise StopNow

    @property
    def exit_code(self) -> int:
        """What the shell expects of a process that this signal stopped: 130 or 143."""
        return 128 + self.received

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            self.restore()
            raise StopNow
        if not self.received:
            self.received, self._at = number, time.monotonic()

"""Signals while training: a flag, which the step boundary turns into a checkpoint and an exit code.

Installed by the command before the run folder exists, and again by the runner in `on_train_start`, because Lightning
replaces handlers when `fit` begins. A second signal stops at once, as `StopNow`: a KeyboardInterrupt would be caught by
Lightning, which then exits with its own code.
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

from genkit.ranks import highest
from genkit.signals import ECHO, KEYBOARD, Unwind, exit_code, give_back, take_over

GRACE = 5.0  # seconds that a validation may go on after a signal: cut short, its step would be lost
REPEATED = frozenset({"SIGXCPU"})  # sent every second by the kernel, and no wish to hurry


class StopNow(BaseException):
    """A second signal, or a step boundary that is too far away: the checkpoint written last is where to go on."""


class StopSignal:
    """Remembers the first signal that asks for an end.

    The second one raises StopNow, once: at once where it comes from the keyboard, later than `ECHO` seconds after the
    first one where it comes from elsewhere.

    Attributes:
        received: The signal's number, 0 while none came.
        asked: Set by code that wants the stop which a signal would cause.
    """

    def __init__(self) -> None:
        self.received = 0
        self.asked = False
        self._at = 0.0
        self._may_raise = True
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take all ending signals over; `restore` gives them back. Does nothing outside the main thread."""
        self._before = take_over(self._on_signal) | self._before

    def restore(self) -> None:
        give_back(self._before)
        self._before = {}

    def __enter__(self) -> StopSignal:
        self.install()
        for handler in self._before.values():
            if isinstance(handler, Unwind) and handler.received:  # swallowed on its way
                self.received, self._at = handler.received, time.monotonic()
                handler.settle()
        return self

    def __exit__(self, *exception: object) -> None:
        self.restore()

    @property
    def wanted(self) -> bool:
        """Tell whether to stop at the next step boundary."""
        return self.asked or self.received != 0

    def only_note(self) -> None:
        """From now on no signal raises anything."""
        self._may_raise = False

    def agree(self) -> None:
        """A signal that one of several processes received, or a stop that one asked for, is that of all."""
        received, asked = highest(self.received, self.asked)
        if received and not self.received:
            self.received, self._at = received, time.monotonic()
        self.asked = bool(asked)

    def refuse_to_begin(self) -> None:
        """Raise StopNow where a signal came already: nothing would be lost."""
        self.agree()
        if self.received:
            raise StopNow

    def refuse_to_wait(self) -> None:
        """Raise StopNow where a signal came to this process, or to another one, longer than `GRACE` ago."""
        late = self.received and time.monotonic() - self._at > GRACE
        if highest(bool(late))[0]:
            self.agree()
            raise StopNow

    @property
    def name(self) -> str | None:
        """ "SIGTERM", or None while no signal came."""
        return signal.Signals(self.received).name if self.received else None

    @property
    def exit_code(self) -> int:
        """The exit code of a process that this signal stopped."""
        return exit_code(self.received)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.received:
            self.received, self._at = number, time.monotonic()
        elif self._may_raise and self._insists(number):
            self.only_note()  # what cleans up after StopNow must not be cut short
            raise StopNow

    def _insists(self, number: int) -> bool:
        if signal.Signals(number).name in REPEATED:
            return False
        return number in KEYBOARD or time.monotonic() - self._at > ECHO

"""The signals that ask a job to end, and who may take them over.

TERM   a scheduler, a container, `kill`         HUP          the terminal was closed, the connection was lost
INT    Ctrl-C                                   USR1, USR2   a batch system, some time before its limit
QUIT   Ctrl-\\                                   XCPU         the limit of CPU time, and every second after it

A command that a signal stops leaves the exit code 128 + its number, as a shell would report it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

_NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")  # not all of them on every system
ENDING = tuple(signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__)
KEYBOARD = frozenset(number for number in ENDING if number.name in ("SIGINT", "SIGQUIT"))

# Seconds in which a second signal is the first one again: `timeout` and a closing shell send theirs to the process
# and to its group.
ECHO = 1.0

AGAIN = 3.0  # seconds after which a signal whose exception was swallowed raises it again


def exit_code(number: int) -> int:
    """The exit code of a process that a signal stopped, as shells count: 143 for SIGTERM."""
    return 128 + number


def take_over(handler: Handler) -> dict[int, Any]:
    """Have `handler` called for every ending signal; returns the handlers before, for `give_back`.

    A signal that was ignored stays ignored, as SIGHUP under `nohup`; except for those of the keyboard, which a shell
    lets its background jobs ignore: there they can only have been sent on purpose. Outside the main thread, where
    Python allows no handlers, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    chosen = [number for number in ENDING if number in KEYBOARD or signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in chosen}


def give_back(before: dict[int, Any]) -> None:
    """Restore the handlers that `take_over` returned; one that Python did not install becomes the system's default."""
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold ending signals back until the block ends, from this process and for good from those that it starts.

    A process that is born so receives nothing before it calls `let_through`: nothing comes too early for its handlers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_through() -> None:
    """Receive what was held back since this process was born, and all that follows."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class Unwind:
    """A handler that raises SystemExit with the signal's exit code; an echo does not disturb what then cleans up.

    C code that asks for an attribute, and a callback of the garbage collector, may be where Python runs a handler, and
    both swallow what it raises. So a process that is still there after `AGAIN` seconds is told once more, and code that
    takes over the signals, or ends, looks at `received`.

    Attributes:
        received: The first signal, 0 while none came.
    """

    def __init__(self) -> None:
        self.received = 0
        self._last = float("-inf")

    def __call__(self, number: int, frame: FrameType | None) -> None:
        before, self._last = self._last, time.monotonic()
        self.received = self.received or number
        if self._last - before > ECHO:
            signal.signal(signal.SIGALRM, self._again)
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            raise SystemExit(exit_code(number))

    def _again(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(exit_code(self.received))

    def settle(self) -> None:
        """Raise no more on account of what was received."""
        if self.received:
            signal.setitimer(signal.ITIMER_REAL, 0)

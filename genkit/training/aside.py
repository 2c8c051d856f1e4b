"""Work beside the training that shows something and decides nothing: where it fails, training goes on.

A picture that cannot be drawn, a score that cannot be taken or a progress line that cannot be printed must never cost
a checkpoint. A callback that only shows something does its work inside `Aside`; what a run cannot do without
(steps, validation, metrics.jsonl, checkpoints) stays outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from genkit.errors import GenkitError
from genkit.printing import one_line


class Aside:
    """Says what failed, each reason once.

    Arguments:
        console: Where it is said.
        what: What is missing then: "samples/".
    """

    def __init__(self, console: Console, what: str) -> None:
        self.console, self.what = console, what
        self.told: set[str] = set()

    @contextmanager
    def __call__(self, step: int) -> Iterator[None]:
        """Keep every error of the block but what ends a process; a signal and Ctrl-C pass."""
        try:
            yield
        except Exception as error:
            name = "" if isinstance(error, GenkitError) else f"{type(error).__name__}: "
            reason = f"{name}{one_line(str(error), 200)}"
            if reason in self.told:
                return
            self.told.add(reason)
            line = f"warning: step {step:,}: no {self.what}: {reason}"
            with suppress(Exception):
                self.console.print(line, style="yellow", soft_wrap=True, highlight=False, markup=False)

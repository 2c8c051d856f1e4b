"""Standard output and error on a terminal that may go away: a job outlives its window silently.

When a window or a connection is closed, the kernel sends SIGHUP, and anything written to the terminal from then
on fails with EIO. Under `nohup` or `disown` the job goes on, and a line of progress must not end it; where SIGHUP
stops it, the line must not keep it from writing its checkpoint.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class LeavingTerminal(io.FileIO):
    """The terminal at a file descriptor; when it is gone, what is written goes nowhere."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ENXIO):
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # for those who hold the descriptor, too
        os.close(nowhere)
        return memoryview(data).nbytes


def outlive(stream: TextIO) -> TextIO:
    """The stream of a terminal as one that outlives it; any other stream as it is."""
    if not isinstance(stream, io.TextIOWrapper) or not stream.isatty():
        return stream
    stream.flush()
    terminal = LeavingTerminal(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(terminal),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
        write_through=stream.write_through,
    )


def outlive_terminal() -> None:
    """Standard output and error outlive the terminal they are written to."""
    sys.stdout, sys.stderr = outlive(sys.stdout), outlive(sys.stderr)

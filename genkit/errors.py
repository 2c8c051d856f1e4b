"""Errors that a user can act on, each with the exit code of the process that meets it.

The message is one line: what is wrong, where (key or path), what to do next; its text is made printable
(see `genkit.printing`). The entry point prints it without a traceback unless `debug=true`. Anything else that escapes
is an internal error (1).

    0 done · 1 internal · 2 configuration or usage · 3 data · 4 checkpoint · 5 numerical · 6 disk or permission
    128 + n: stopped by signal n, as 130 by SIGINT and 143 by SIGTERM
"""

from genkit.printing import one_line


class GenkitError(Exception):
    """An error with one line for the user and an exit code for the shell."""

    exit_code: int = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ConfigError(GenkitError):
    """The configuration or the command line asks for something that does not exist or is out of range."""

    exit_code = 2


class DataError(GenkitError):
    """The data is missing, malformed, or outside what its spec declares."""

    exit_code = 3


class CheckpointError(GenkitError):
    """A checkpoint is absent, damaged, foreign, or does not fit what is asked of it."""

    exit_code = 4


class NumericalError(GenkitError):
    """A loss, gradient or sample is not finite."""

    exit_code = 5


class StorageError(GenkitError):
    """The disk is full, a path is not writable, or another process owns the run folder."""

    exit_code = 6


class RankError(GenkitError):
    """Another process of the same command has failed; what went wrong is in its output."""


class OutOfMemory(GenkitError):
    """The memory that was asked for is not there."""

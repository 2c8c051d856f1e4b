"""The line and the exit code of a failed command: one line, never a traceback unless asked.

GenkitError            its own line and code            a full disk, a forbidden path    6
a Hydra or YAML error  what it says, 2                  a closed pipe                    nothing, 141 (as SIGPIPE)
memory that is lacking what was asked for, 1
anything else          "internal error: Type: text", 1; where an import failed, `genkit doctor` can say more
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from dataclasses import dataclass

from genkit.config.memory import asked_for
from genkit.environment import Report, announced_rank, report
from genkit.errors import ConfigError, GenkitError, RankError, StorageError
from genkit.printing import one_line, shortened, shown

STORAGE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
STORAGE |= {errno.ENOTDIR, errno.EIO, errno.EMFILE, errno.ENFILE}
BROKEN_PIPE = 141
LIMIT = 600  # characters of a line that someone else wrote


@dataclass(frozen=True)
class Failure:
    """The exit code and the line; an empty line is not printed.

    Attributes:
        follows: Whether it is that another process of this command failed.
    """

    code: int
    line: str
    follows: bool = False

    def show(self) -> None:
        """Print the line, or leave it to the process that started this one."""
        if self.line and not report(Report(line=self.line, follows=self.follows)):
            rank = announced_rank()
            which = f"process {rank}: " if rank else ""
            print(f"genkit: {which}{self.line}", file=sys.stderr, flush=True)


def failure_of(error: Exception) -> Failure:
    """Say how an exception is told to the user."""
    text = one_line(str(error))
    if isinstance(error, GenkitError):
        return Failure(error.exit_code, f"error: {text}", follows=isinstance(error, RankError))
    if isinstance(error, BrokenPipeError):
        return Failure(BROKEN_PIPE, "")
    if isinstance(error, FileNotFoundError) and not _stands_somewhere():
        gone = "error: the working directory no longer exists: cd to a folder that does"
        return Failure(StorageError.exit_code, gone)
    if isinstance(error, OSError) and error.errno in STORAGE:
        return Failure(StorageError.exit_code, f"error: {shown(error.filename or 'output', 100)}: {error.strerror}")
    if type(error).__module__.partition(".")[0] in ("hydra", "omegaconf", "yaml"):
        return Failure(ConfigError.exit_code, f"error: {shortened(text, LIMIT)}")
    if (asked := asked_for(error)) is not None:
        return Failure(1, f"error: out of memory: {asked} could not be allocated: ask for less, or free some")
    hint = "`genkit doctor` looks for what is broken here, " if while_importing(error) else ""
    return Failure(
        1, f"internal error: {type(error).__name__}: {shortened(text, LIMIT)} ({hint}debug=true shows the traceback)"
    )


def _stands_somewhere() -> bool:
    """Tell whether the working directory is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def while_importing(error: Exception) -> bool:
    """Tell whether it was raised while a module was looked for or executed.

    Python takes the frames of importlib out of the traceback of an import statement, so the module's own tell.
    """
    names = (frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, ImportError) or "<module>" in names


def tell(error: Exception, debug: bool) -> Failure:
    """`failure_of`, printed, below its traceback when debugging."""
    failure = failure_of(error)
    if debug and failure.line:
        traceback.print_exception(error)
    failure.show()
    return failure

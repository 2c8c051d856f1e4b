"""Files that say themselves whether they are whole: what is read is what was written, or an error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genkit.errors import DataError
from genkit.storage.sealed import map_array, read_sealed, write_array, write_sealed

ROWS = np.arange(15.0).reshape(5, 3)
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[:-1],
    "longer": lambda content: content + b" ",
    "empty": lambda content: b"",
    "a changed byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "a changed sum": lambda content: b"0" * 64 + content[64:],
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_sealed(tmp_path / "none") is map_array(tmp_path / "none", (5, 3)) is None
    write_sealed(tmp_path / "new" / "file", b"content")
    assert read_sealed(tmp_path / "new" / "file") == b"content"
    write_array(tmp_path / "rows", (ROWS[:2], ROWS[2:]), ROWS.nbytes)
    found = map_array(tmp_path / "rows", (5, 3))
    assert found is not None
    np.testing.assert_array_equal(found, ROWS)
    found[0, 0] = 7.0  # in memory alone
    np.testing.assert_array_equal(map_array(tmp_path / "rows", (5, 3)), ROWS)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_an_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_sealed(tmp_path / "file", b"content")
    write_array(tmp_path / "rows", [ROWS], ROWS.nbytes)
    for name in ("file", "rows"):
        (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(DataError, match="damaged"):
        read_sealed(tmp_path / "file")
    with pytest.raises(DataError, match="damaged"):
        map_array(tmp_path / "rows", (5, 3))


def test_a_file_of_another_shape_or_size_is_refused(tmp_path: Path) -> None:
    write_array(tmp_path / "rows", [ROWS], ROWS.nbytes)
    with pytest.raises(DataError, match="damaged"):
        map_array(tmp_path / "rows", (5, 2))
    with pytest.raises(DataError, match="the limit is 9"):
        read_sealed(tmp_path / "rows", largest=9)

"""The file of coded data: any byte that is changed, added or missing is noticed."""

import pytest

from genkit.coding.container import MAGIC, Container
from genkit.errors import DataError

FILE = Container({"n": 3, "model": "ä"}, {"values": bytes(range(9)), "labels": b""}).to_bytes()


def test_a_file_is_read_as_written():
    found = Container.of_bytes(FILE, "file")
    assert found.header["n"] == 3
    assert found.header["model"] == "ä"
    assert found.header["version"] == 1
    assert found.sections == {"values": bytes(range(9)), "labels": b""}


def test_every_changed_byte_is_noticed():
    for place in range(len(FILE)):
        damaged = bytearray(FILE)
        damaged[place] ^= 1
        with pytest.raises(DataError):
            Container.of_bytes(bytes(damaged), "file")


def test_every_end_that_is_cut_off_or_added_is_noticed():
    for length in range(len(FILE)):
        with pytest.raises(DataError):
            Container.of_bytes(FILE[:length], "file")
    with pytest.raises(DataError):
        Container.of_bytes(FILE + b"\0", "file")


def test_a_foreign_file_and_a_later_version_say_what_they_are():
    with pytest.raises(DataError, match="not a file that genkit compress wrote"):
        Container.of_bytes(b"PK\x03\x04", "file")
    later = FILE.replace(b'"version":1', b'"version":9')
    import hashlib

    later = later[:-16] + hashlib.sha256(later[:-16]).digest()[:16]
    with pytest.raises(DataError, match="newer genkit"):
        Container.of_bytes(later, "file")
    assert later.startswith(MAGIC)

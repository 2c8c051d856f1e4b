"""A job outlives the terminal that it writes to."""

import io
import os

from genkit.terminal import outlive


def test_what_is_written_after_a_terminal_has_gone_goes_nowhere():
    ours, theirs = os.openpty()
    stream = outlive(io.TextIOWrapper(io.FileIO(theirs, "w", closefd=False), encoding="utf-8", errors="replace"))
    assert stream.isatty()
    print("step 1 \udcff", file=stream)
    assert os.read(ours, 100) == b"step 1 ?\r\n"
    os.close(ours)
    for step in (2, 3):
        print(f"step {step}", file=stream)
    os.write(theirs, b"written by another hand")


def test_a_stream_that_is_no_terminal_stays_as_it_is(tmp_path):
    with (tmp_path / "log").open("w") as file:
        assert outlive(file) is file
    text = io.StringIO()
    assert outlive(text) is text

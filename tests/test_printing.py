"""What others wrote, on a terminal and in errors: nothing hidden, nothing obeyed, of bounded length."""

import io
import unicodedata
from pathlib import Path

import pytest
from rich.table import Table

from genkit.errors import CheckpointError
from genkit.printing import one_line, printable, shown
from genkit.report.console import make_console

HOSTILE = "\x1b]0;x\x07[red]\x9b2J\u202e\u200b\r\n\x7f\ud800\u3164[/x]:smile:"


def test_no_character_that_is_obeyed_or_unseen_is_left() -> None:
    everything = "".join(map(chr, (*range(0xD7FF), *range(0xE000, 0x11FFF))))
    left = {c for c in printable(everything) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert not left
    assert printable(HOSTILE) == r"\x1b]0;x\x07[red]\x9b2J\u202e\u200b\r\n\x7f\ud800\u3164[/x]:smile:"


@pytest.mark.parametrize("text", ["plain", "grün 日本 [b] 'q' {x} \\n", "e\u0301", ""])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert shown(text) == printable(text) == one_line(text) == text


def test_long_text_loses_its_middle() -> None:
    for most in (10, 500):
        cut = shown("a" * 10**6 + "\x1b" * 10**6, most)
        assert len(cut) == most
        assert cut.startswith("aaaaa")
    assert len(shown("\x1b" * 400)) <= 500
    assert shown(Path("/a" * 1000)) == "/a" * 1000
    assert len(shown(Path("a" * 10**6))) == 4096


def test_every_error_is_one_printable_line() -> None:
    said = str(CheckpointError(f"first {HOSTILE * 10**4}\nand the advice"))
    assert said.isprintable()
    assert said.startswith("first")
    assert said.endswith("and the advice")
    assert len(said) < 10**4


def test_the_console_reads_no_markup_and_lets_no_control_character_through() -> None:
    console = make_console(file=io.StringIO(), width=200, force_terminal=True)
    table = Table("a[b]c")
    table.add_row(HOSTILE)
    for what in (f"a[b]c {HOSTILE}", table):
        console.print(what, style="dim")
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a[b]c" in said
    assert "[red]" in said
    assert "[/x]:smile:" in said
    assert "]0;x" in said
    assert not {"\x07", "\x9b", "\u202e", "\u200b", "\x7f", "\ud800"} & set(said)
    assert "\x1b]" not in said  # the console's own codes are \x1b[…m

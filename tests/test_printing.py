"""What others wrote, on a terminal and in errors: nothing hidden, nothing obeyed, of bounded length."""

import ast
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table

import genkit
from genkit.errors import CheckpointError
from genkit.printing import one_line, printable, shown
from genkit.report.console import make_console

HOSTILE = "\x1b]0;x\x07[red]\x9b2J\u202e\u200b\r\n\x7f\ud800\u3164[/x]:smile:"


def test_no_character_that_is_obeyed_or_unseen_is_left() -> None:
    everything = "".join(map(chr, (*range(0xD7FF), *range(0xE000, 0x11FFF))))
    left = {c for c in printable(everything) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert not left
    assert printable(HOSTILE) == r"\x1b]0;x\x07[red]\x9b2J\u202e\u200b\r\n\x7f\ud800\u3164[/x]:smile:"


@pytest.mark.parametrize("unseen", "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u200d\u00ad")
def test_what_no_font_shows_is_written_out(unseen: str) -> None:
    assert printable(f"a{unseen}") == f"a{unseen.encode('unicode_escape').decode()}"


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


UNITS = re.compile(r" (samples?|examples?|rows?|points|images|steps?|bytes|tensors?|columns|files|runs|jobs)\b")
WORDS = re.compile(r"name|kind|held|line|type\(|shown|join|_share|\['split'\]|get\('step'\)|rate|first|LONGEST|seconds")


def counts(tree: ast.AST) -> Iterator[ast.FormattedValue]:
    """The values of f-strings that stand before a unit or behind "step "; not those of key=value."""
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)):
        parts = ["", *(part.value if isinstance(part, ast.Constant) else "" for part in node.values), ""]
        for i, value in enumerate(node.values, 1):
            counted = UNITS.match(parts[i + 1]) or parts[i - 1].endswith("step ")
            if isinstance(value, ast.FormattedValue) and counted and not parts[i - 1].endswith("="):
                yield value


def test_counts_are_printed_with_separators_of_thousands() -> None:
    bare = [
        f"{file.name}:{value.lineno}: {ast.unparse(value.value)}"
        for file in sorted(Path(genkit.__file__).parent.rglob("*.py"))
        for value in counts(ast.parse(file.read_text(encoding="utf-8")))
        if "," not in (ast.unparse(value.format_spec) if value.format_spec else "")
        and not WORDS.search(ast.unparse(value.value))
    ]
    assert bare == []

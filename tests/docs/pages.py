"""The pages of the documentation, cut into what can be run and what can be compared."""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Everything fenced, in order, but the files that a page asks the reader to write."""
    return [Block(*match) for match in FENCE.findall(FILE.sub("", page.read_text(encoding="utf-8")))]


def files(page: Path) -> dict[str, str]:
    """The files that a page asks the reader to write, by their path."""
    return dict(FILE.findall(page.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Command:
    """A line to type: its words, the exit code that it promises, and the output that is shown below it."""

    words: tuple[str, ...]
    code: int
    shown: str


def commands(block: Block) -> list[Command]:
    """Every line that begins with "$ ", with the lines up to the next one as its output."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            command, _, note = line[2:].partition("  # exit ")
            found.append(Command(tuple(shlex.split(command)), int(note or 0), ""))
        else:
            assert found, f"output before the first command: {line}"
            found[-1] = replace(found[-1], shown=f"{found[-1].shown}{line}\n")
    return found


def table(page: Path, *heading: str) -> list[list[str]]:
    """The rows, cell by cell, of the one table whose first columns are called so."""
    lines = page.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]
    starts = [i for i, row in enumerate(cells) if lines[i].startswith("|") and row[: len(heading)] == list(heading)]
    assert len(starts) == 1, f"{name_of(page)}: {len(starts)} tables {heading}"
    rows = []
    for i in range(starts[0] + 2, len(lines)):
        if not lines[i].startswith("|"):
            break
        rows.append(cells[i])
    return rows


def ticked(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)

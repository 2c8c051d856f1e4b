"""The page that follows one batch through the code: its functions exist, and are called in the order of the page."""

import ast
import re
import sys
from contextlib import contextmanager

import pytest
from pages import ROOT, blocks, commands

PAGE = ROOT / "docs" / "life_of_a_step.md"
NAMED = re.compile(r"\[`([\w.]+)`\]\(\.\./(genkit/[\w/]+\.py)\)")
FEW = {"train": ["trainer.log_every_n_steps=1", "metric=fid", "quick.n=8"], "sample": [], "eval": ["baselines=[]"]}
Call = tuple[str, str]  # qualified name of a function, file


def functions_of(path: str) -> set[str]:
    """The qualified names of the functions and classes of a file."""
    found = set()

    def walk(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                found.add(above + child.name)
                walk(child, f"{above}{child.name}.")

    walk(ast.parse((ROOT / path).read_text(encoding="utf-8")), "")
    return found


def test_every_function_that_it_names_stands_in_the_file_beside_it():
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 60
    assert {(name, path) for name, path in named if name not in functions_of(path)} == set()


@contextmanager
def calls_of(wanted: set[Call]):
    """Every call, in order, of the functions (qualified name, file) that are wanted."""
    files = {str(ROOT / path): path for _, path in wanted}
    calls: list[Call] = []

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename in files:
            call = (code.co_qualname, files[code.co_filename])
            if call in wanted:
                calls.append(call)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def found_in(calls: list[Call], named: list[Call], start: int) -> int:
    """The place after the last of the functions `named`, called in this order before the first one is called again."""
    assert named[0] in calls[start:], f"{named[0]} is not called at this place"
    place = calls.index(named[0], start)
    again = calls.index(named[0], place + 1) if named[0] in calls[place + 1 :] else len(calls)
    for name in named[1:]:
        assert name in calls[place + 1 : again], f"{name} is not called after {calls[place]}"
        place = calls.index(name, place + 1)
    return place


@pytest.mark.slow
def test_its_functions_are_called_in_its_order(work, genkit):
    """Of each paragraph once through, and one paragraph after the other."""
    typed = [command.words[1:] for block in blocks(PAGE) for command in commands(block)]
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    assert [words[0] for words in typed] == list(FEW)
    for words, part in zip(typed, parts, strict=True):
        with calls_of(set(NAMED.findall(part))) as calls:
            assert genkit(*words, *FEW[words[0]]) == 0
        place = 0
        for named in filter(None, map(NAMED.findall, part.split("\n\n**"))):
            place = found_in(calls, named, place)

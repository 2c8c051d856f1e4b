"""First lines of docstrings are imperatives or noun phrases."""

import ast
from collections.abc import Iterator
from pathlib import Path

import genkit

PACKAGE = Path(genkit.__file__).parent
QUESTIONS = {"What", "Whether", "How", "Where", "Which"}
HELD = ("config", "models")  # folders whose docstrings are held to it


def questions(file: Path) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)):
        text = ast.get_docstring(node)
        if text and text.split()[0] in QUESTIONS:
            yield f"{file.relative_to(PACKAGE)}: {text.splitlines()[0]}"


def test_no_docstring_begins_with_a_question() -> None:
    files = [file for folder in HELD for file in sorted((PACKAGE / folder).rglob("*.py"))]
    assert files
    assert [line for file in files for line in questions(file)] == []

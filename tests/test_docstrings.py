"""First lines of docstrings are imperatives or noun phrases, and words are in use today."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import genkit
from genkit.config.hydra.catalog import conf_dir

PACKAGE = Path(genkit.__file__).parent
QUESTIONS = {"What", "Whether", "How", "Where", "Which", "When", "Who", "Why"}
ARCHAIC = re.compile(
    r"\b(lest|hitherto|hence(forth)?|thence|whence|anew|amid|naught|nought|thereof|therein|forthwith|whoever|whichever"
    r"|for ever|for want of|in the place of|of before|as it were|nobody's business|so-\w+ieth)\b",
    re.IGNORECASE,
)


def questions(file: Path) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)):
        text = ast.get_docstring(node)
        if text and text.split()[0] in QUESTIONS:
            yield f"{file.relative_to(PACKAGE)}: {text.splitlines()[0]}"


def test_no_docstring_begins_with_a_question() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    assert [line for file in files for line in questions(file)] == []


def test_words_are_those_of_today() -> None:
    texts = {
        file: file.read_text(encoding="utf-8") for file in sorted([*PACKAGE.rglob("*.py"), *conf_dir().rglob("*.yaml")])
    }
    assert [(file.name, found[0]) for file, text in texts.items() if (found := ARCHAIC.search(text))] == []

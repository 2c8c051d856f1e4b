"""Scores of single documents as rows of a file: what a mean over all of them hides."""

from __future__ import annotations

from typing import Any

from genkit.data.text.kind import Text
from genkit.data.text.token_rows import Documents, Windows
from genkit.evaluation.evaluator import Evaluator
from genkit.printing import shown

BEGINNING = 40  # tokens of a document, and characters, that tell which one it is


def document_rows(evaluator: Evaluator) -> dict[str, list[dict[str, Any]]]:
    """By metric, the rows of all sources that it was scored of: source, the details, and how each document begins."""
    found: dict[str, list[dict[str, Any]]] = {}
    data, kind = evaluator.reference.data, evaluator.spec.kind
    for (source, metric), rows in evaluator.details.items():
        named = found.setdefault(metric, [])
        for row in rows:
            more = {}
            if isinstance(data, Windows) and isinstance(kind, Text):
                more["begins"] = _beginning(data.documents, int(row["document"]), kind)
            named.append({"source": source, **row, **more})
    return found


def _beginning(documents: Documents, number: int, kind: Text) -> str:
    [text] = kind.texts(documents.head(number, BEGINNING)[None])
    return shown(text, BEGINNING)

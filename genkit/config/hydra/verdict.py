"""The fault of one argument, and the words in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """The fault of an argument.

    Attributes:
        text: The problem, beginning with what was typed.
        near: What was probably meant, as it stands after "did you mean".
        right: The arguments in its place; None where nobody can tell.
        note: What else to know.
    """

    text: str
    near: str | None = None
    right: tuple[str, ...] | None = None
    note: str = ""

    def line(self) -> str:
        near = f"; did you mean {self.near}?" if self.near else ""
        return f"{self.text}{near}" + (f"{'' if near else ';'} {self.note}" if self.note else "")


def text_of(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)

"""Marks of a likelihood that is not exact: ≤ at most, ≥ at least, ≈ an estimate."""

from __future__ import annotations

MEANING = {
    "≤": "≤ is a bound: the true value is no higher",
    "≥": "≥ is a bound: the true value is no lower",
    "≈": "≈ is an estimate of unknown bias",
}


def mark(kind: str | None, direction: str) -> str:
    """ "≤", "≥", "≈" or "" before a value.

    Args:
        kind: What the log-likelihood behind it is: "exact", "lower" (a bound), "estimate"; None for other scores.
        direction: "min" for a score that falls as the likelihood rises, "max" for one that rises with it.
    """
    if kind == "lower":
        return "≥" if direction == "max" else "≤"
    return "≈" if kind == "estimate" else ""


def marked(text: str, kind: str | None, direction: str) -> str:
    """ "2.18" as "≤ 2.18"."""
    return f"{mark(kind, direction)} {text}".lstrip()

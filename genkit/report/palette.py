"""The colours of curves and marks, one list for figures and pages.

They follow Okabe and Ito (2008), which people of any colour vision tell apart; the two bright ones of theirs, which are
pale on white paper, are darker. Meanings are never said by colour alone: validation is dashed, bounds are hollow.
"""

from __future__ import annotations

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0508a", "#b07d00", "#767680")  # on light paper
ON_DARK = ("#56b4e9", "#f08640", "#2fc79a", "#dd8fbd", "#e6b422", "#9a9aa6")  # the same ones on dark paper

MODEL, OTHER, FLOOR = COLOURS[:3]
BEST = OTHER  # a ring or a thick line
BASELINE = "#767680"
REAL = "#9aa0ab"  # what was not made by a model, behind what was


def colour(number: int) -> str:
    """The colour of curve `number`, from 0; after six they repeat."""
    return COLOURS[number % len(COLOURS)]

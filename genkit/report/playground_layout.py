"""Places of the parts of a playground's frame, which are those of every frame, so that a page can show them apart."""

from __future__ import annotations

WIDTH, HEIGHT = 9.6, 6.0  # inches
SIDE, GAP, ABOVE = 2.8, 0.3, 1.05  # of the three square panels, beside them, and from the top edge

PANELS = tuple((GAP + i * (SIDE + GAP), ABOVE, SIDE, SIDE) for i in range(3))  # left, top, width, height
DISTANCE = (0.75, ABOVE + SIDE + 0.22, WIDTH - 0.75 - GAP, HEIGHT - ABOVE - SIDE - 0.22 - 0.5)

EDGE = 0.02  # inches, in which the line around a panel lies

Box = tuple[float, float, float, float]


def inner(box: Box) -> Box:
    """The box without the line around it."""
    left, top, width, height = box
    return left + EDGE, top + EDGE, width - 2 * EDGE, height - 2 * EDGE


def shares(box: Box) -> list[float]:
    """Left, top, width and height as shares of the whole picture."""
    left, top, width, height = box
    return [round(left / WIDTH, 5), round(top / HEIGHT, 5), round(width / WIDTH, 5), round(height / HEIGHT, 5)]


def axes_box(box: Box) -> Box:
    """Left, bottom, width and height as shares, as matplotlib counts."""
    left, top, width, height = shares(box)
    return left, 1 - top - height, width, height

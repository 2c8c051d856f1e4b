"""Widths of a convolutional network's levels, chosen from the shape of the images.

Colour has more to tell than grey in as many places, so its networks go down to about 4x4, where width is cheap; and
folding p x p pixels of three channels into one place (`fold.py`) asks for a first level that can hold them.
"""

from collections.abc import Sequence

COLOUR = 3  # channels of an image from which on it counts as one in colour
NARROW, WIDE = 32, 64  # first level of colour, up to 2x2 pixels in a place and beyond
WIDEST = 256  # of strided convolutions
GROWTH = 4  # from the first level to the widest
SMALLEST = 4  # side of the lowest resolution, about


def level_widths(shape: tuple[int, ...], patch: int, grey: Sequence[int]) -> tuple[int, ...]:
    """Widths for images (C, H, W) folded by `patch`, full resolution first.

    Those of `grey` for one or two channels. For colour a level for every halving that leaves 4x4 places, twice as wide
    as the one above until four times as wide as the first.
    """
    channels, height, width = shape
    if channels < COLOUR:
        return tuple(grey)
    side, first = -(-min(height, width) // patch), NARROW if patch <= 2 else WIDE
    widths = [first]
    while side >> len(widths) >= SMALLEST:
        widths.append(min(2 * widths[-1], GROWTH * first))
    return tuple(widths)


def halving_widths(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Widths of strided convolutions of colour images (C, H, W), a level for every halving that leaves 4x4 places."""
    side, widths = min(shape[1:]), [NARROW]
    while side >> (len(widths) + 1) >= SMALLEST:
        widths.append(min(2 * widths[-1], WIDEST))
    return tuple(widths)

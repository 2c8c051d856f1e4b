"""The sizes and colours of the images of a collection, and the size and colours that follow for the data.

Unless the user says otherwise: images of one size, at most LARGEST_KEPT pixels a side, are kept as they are. Others
become squares of the largest of SIDES to which half of them need not be enlarged, or by a quarter at most. The data is
grey if every image is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from genkit.data.images.collection import ImageCollection
from genkit.data.images.decoding import BadImage, Header
from genkit.data.images.framing import Crop, Frame, Interpolation

SIDES = (64, 32, 16, 8)
LARGEST_KEPT = 128
ENLARGED = 1.25
Channels = Literal["auto", 1, 3]


class ImageSizes(ABC):
    """The sizes and colours of some images, as far as a choice needs them."""

    @property
    @abstractmethod
    def smallest(self) -> tuple[int, int]:
        """(width, height) of the image of fewest pixels."""

    @property
    @abstractmethod
    def largest(self) -> tuple[int, int]:
        """(width, height) of the image of most pixels."""

    @property
    @abstractmethod
    def median_side(self) -> int:
        """The shorter side of the image in the middle, when they are in the order of these."""

    @property
    @abstractmethod
    def one_size(self) -> bool:
        """Tell whether all are of one size."""

    @property
    @abstractmethod
    def grey(self) -> bool:
        """Tell whether all are grey."""


@dataclass
class Survey(ImageSizes):
    """Headers of the images that have one.

    Attributes:
        good: Numbers of the images in their collection.
        headers: Of these.
        bad: (name, reason) of the others, and of files that were none from the first.
    """

    good: list[int] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)

    @property
    def smallest(self) -> tuple[int, int]:
        return min(((h.width, h.height) for h in self.headers), key=lambda size: (size[0] * size[1], size))

    @property
    def largest(self) -> tuple[int, int]:
        return max(((h.width, h.height) for h in self.headers), key=lambda size: (size[0] * size[1], size))

    @property
    def median_side(self) -> int:
        short = sorted(min(h.width, h.height) for h in self.headers)
        return short[len(short) // 2]

    @property
    def one_size(self) -> bool:
        return len({(h.width, h.height) for h in self.headers}) == 1

    @property
    def grey(self) -> bool:
        return all(h.grey for h in self.headers)


def surveyed(collection: ImageCollection, numbers: Iterable[int]) -> Survey:
    """Read the headers of the images with these numbers."""
    survey = Survey(bad=list(collection.skipped.bad))
    known: dict[Header, Header] = {}  # of many images few headers differ, and each is kept once
    for i in numbers:
        try:
            header = collection.header(i)
        except BadImage as error:
            survey.bad.append((collection.names[i], str(error)))
        else:
            survey.good.append(i)
            survey.headers.append(known.setdefault(header, header))
    return survey


def chosen_frame(survey: ImageSizes, size: Sequence[int] | None, crop: Crop, interpolation: Interpolation) -> Frame:
    """The size of the data's images: (height, width) where the user said so, else what the images are."""
    if size is not None:
        height, width = size
    elif survey.one_size and max(survey.largest) <= LARGEST_KEPT:
        width, height = survey.largest
    else:
        height = width = _common_side(survey)
    return Frame(height, width, crop, interpolation)


def _common_side(survey: ImageSizes) -> int:
    """The largest of SIDES to which half of the images or more are enlarged by no more than ENLARGED."""
    return next((side for side in SIDES if side <= ENLARGED * survey.median_side), SIDES[-1])


def described(survey: ImageSizes, frame: Frame, channels: int) -> str:
    """The sizes found and the size chosen, in words: "64x48 to 256x256 RGB -> 64x64 RGB, centre crop"."""
    (w0, h0), (w1, h1) = survey.smallest, survey.largest
    found = f"{w0}x{h0}" if survey.one_size else f"{w0}x{h0} to {w1}x{h1}"
    colours = "grey" if survey.grey else "RGB"
    target = f"{frame.width}x{frame.height} {'grey' if channels == 1 else 'RGB'}"
    same = survey.one_size and (frame.width, frame.height) == (w1, h1) and frame.crop != "random"
    how = {"centre": ", centre crop", "random": ", random crop", "none": ", squeezed"}[frame.crop]
    return f"{found} {colours} -> {target}{'' if same else how}"

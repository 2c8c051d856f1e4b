"""Scores of samples of text: their words or characters, whatever tokens a model has.

A score of n-grams depends on how many samples there are and how long they are, so its value says little beside nothing:
its floor is the same score of real text, cut as the samples are and as many.
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.data.kinds import Modality, ValueKind
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Characters, Ids
from genkit.errors import ConfigError
from genkit.metrics.base import Probe, ProbeMetric

Unit = Literal["words", "characters"]

WORD = re.compile(r"\w+|[^\w\s]")  # letters and digits together, every other sign by itself


class TextMetric(ProbeMetric, ABC):
    """A score of samples of text.

    Attributes:
        unit: What texts are cut into; None: characters where the data's tokens are those of a closed alphabet, such as
            SMILES, else words.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("sequence",)
    kinds: ClassVar[tuple[type[ValueKind], ...]] = (Text,)
    best_at_floor: ClassVar[bool] = True
    divergence: ClassVar[bool] = False
    covers: ClassVar[str] = "the mean score of n samples"

    fake: list[Tensor]
    seen: list[Tensor]

    def __init__(self, unit: Unit | None = None) -> None:
        super().__init__()
        self.add_state("fake", default=[], dist_reduce_fx="cat")
        self.add_state("seen", default=[], dist_reduce_fx="cat")
        self.unit = unit
        self.kind: Text | None = None
        self._numbers: dict[str, int] = {}

    def update(self, probe: Probe) -> None:
        """Keep the tokens of one batch, of the sides that the metric requires."""
        assert isinstance(probe.spec.kind, Text)
        self.kind = probe.spec.kind
        if "fake" in probe:
            self.fake.append(probe["fake"])
        if "train" in probe and "train" in self.requires:
            self.seen.append(probe["train"])

    def texts(self) -> list[str]:
        """The samples. Raises ConfigError where there are fewer than two."""
        if self.kind is None or not self.fake or len(x := dim_zero_cat(self.fake)) < 2:
            raise ConfigError(f"{type(self).__name__} needs at least 2 samples: raise n=")
        return self.kind.texts(x)

    def training_texts(self) -> list[str]:
        """The training documents, put together from windows that follow each other."""
        if self.kind is None or not self.seen:
            raise ConfigError(f"{type(self).__name__} needs training text")
        x = dim_zero_cat(self.seen)
        found, parts = list[bytes](), list[bytes]()
        for piece, ended in zip(self.kind.documents(x), self.kind.ended(x).tolist(), strict=True):
            parts.append(piece)
            if ended:
                found.append(b"".join(parts))
                parts = []
        return [document.decode("utf-8", "replace") for document in (*found, b"".join(parts)) if document]

    def cut(self, texts: Sequence[str]) -> list[Ids]:
        """The numbers of the units of each text, equal for equal units in all of this metric's texts."""
        if self.taken == "characters":
            return [np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.int64) for text in texts]
        numbers = self._numbers
        return [
            np.array([numbers.setdefault(word, len(numbers)) for word in WORD.findall(text)], np.int64)
            for text in texts
        ]

    @property
    def taken(self) -> Unit:
        """The unit that is used."""
        closed = self.kind is not None and isinstance(self.kind.tokenizer, Characters)
        return self.unit or ("characters" if closed else "words")

    def params(self) -> dict[str, Any]:
        return {"unit": self.taken}

"""Molecules in samples of SMILES (Weininger 1988): which are molecules at all, different ones, and new ones.

* validity: the share of samples that ended and that RDKit reads as a molecule, its valences checked;
* uniqueness: the share of different molecules among the valid samples;
* novelty: the share of those that no training document is.

Molecules are compared by RDKit's canonical SMILES, so two ways to write one count as one. Valid, unique and new is
easy: a chain of carbons of any length is. Read them beside `c2st_logistic`, and beside the same figures of held-out
molecules, their floor. Polykovskiy et al. 2020, "Molecular Sets (MOSES)", 1811.12823.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.errors import ConfigError
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.interval import wilson_interval
from genkit.metrics.text_metric import TextMetric

MISSING = "molecules need rdkit: pip install 'genkit-toolkit[molecules]'"


class SmilesMetric(TextMetric):
    """A share of the samples, or of the molecules among them."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake",)
    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]
    best_at_floor: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("characters")
        self._counts: tuple[int, tuple[int, int]] | None = None

    def update(self, probe: Probe) -> None:
        """As every metric of text. Raises ConfigError where rdkit is not installed."""
        try:
            import rdkit  # noqa: F401
        except ImportError as error:
            raise ConfigError(MISSING) from error
        super().update(probe)

    def molecules(self) -> list[str | None]:
        """The canonical SMILES of each sample, None of those that are no molecule or have not ended."""
        texts = self.texts()
        assert self.kind is not None
        ended = self.kind.ended(dim_zero_cat(self.fake)).tolist()
        return canonical([text if whole else "" for text, whole in zip(texts, ended, strict=True)])

    @abstractmethod
    def count(self) -> tuple[int, int]:
        """The number of those that are what is asked for, and of all that are asked."""

    def counted(self) -> tuple[int, int]:
        """`count`, once for all samples."""
        if self._counts is None or self._counts[0] != len(self.fake):
            self._counts = len(self.fake), self.count()
        return self._counts[1]

    def compute(self) -> Tensor:
        """() in [0, 1]; NaN where there is no molecule to speak of."""
        hits, of = self.counted()
        return torch.tensor(hits / of if of else float("nan"), dtype=torch.float64)

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        hits, of = self.counted()
        return wilson_interval(hits, of) if of else None

    def findings(self) -> dict[str, Any]:
        hits, of = self.counted()
        return {"count": hits, "of": of}


class SmilesValidity(SmilesMetric):
    """The share of samples that are molecules."""

    def count(self) -> tuple[int, int]:
        found = self.molecules()
        return sum(one is not None for one in found), len(found)


class SmilesUniqueness(SmilesMetric):
    """The share of different molecules among those of the samples."""

    def count(self) -> tuple[int, int]:
        found = [one for one in self.molecules() if one is not None]
        return len(set(found)), len(found)


class SmilesNovelty(SmilesMetric):
    """The share of the samples' different molecules that no training document is."""

    requires: ClassVar[tuple[Requirement, ...]] = ("fake", "train")

    def count(self) -> tuple[int, int]:
        found = {one for one in self.molecules() if one is not None}
        return len(found - set(canonical(self.training_texts()))), len(found)


def canonical(texts: Sequence[str]) -> list[str | None]:
    """RDKit's canonical SMILES of each text, None of what is no molecule, or has no atom."""
    from rdkit import Chem, rdBase

    found: list[str | None] = []
    with rdBase.BlockLogs():  # it says of each text why it is none
        for text in texts:
            named = any(map(str.isspace, text))  # what follows a space is a name to RDKit
            molecule = None if named else Chem.MolFromSmiles(text)
            found.append(None if molecule is None or not molecule.GetNumAtoms() else Chem.MolToSmiles(molecule))
    return found

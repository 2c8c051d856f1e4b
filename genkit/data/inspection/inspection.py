"""Everything that `genkit data show` says about a dataset, computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genkit.data.content_split import NAMES
from genkit.data.dataset import Dataset, SplitName
from genkit.data.inspection.near_duplicates import NearDuplicate, near_duplicates
from genkit.data.inspection.statistics import (
    ChannelMoments,
    Duplicates,
    Splits,
    class_counts,
    duplicates,
    hashes,
    moments,
)
from genkit.data.inspection.table_columns import ColumnFacts, column_facts
from genkit.data.inspection.text_facts import TextFacts, text_facts
from genkit.data.provenance import Provenance

PAIRS = 100  # of equal or similar examples that are named


@dataclass(frozen=True)
class Inspection:
    """Facts about the data of a dataset.

    Attributes:
        dataset: It.
        origin: Its provenance.
        classes: Class name -> examples in each split, {} without labels.
        moments: Of the training data, None of tokens and of the encoded rows of a table.
        duplicates: Equal examples.
        near: Test images that resemble one of training and equal none, the closest first; None where it was not looked.
        names: Of the examples, by split; {} without.
        columns: Of a table.
        text: Of text, None of other data.
    """

    dataset: Dataset
    origin: Provenance
    classes: Mapping[str, list[int]]
    moments: ChannelMoments | None
    duplicates: Duplicates
    near: list[NearDuplicate] | None
    names: Mapping[SplitName, Any]
    columns: list[ColumnFacts]
    text: TextFacts | None = None

    def named(self, split: SplitName, number: int) -> str:
        """An example's name in its source, else its number."""
        return str(self.names[split][number]) if self.names else f"number {number:,}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        splits = {name: self.dataset.split(name) for name in NAMES}
        origin, near = self.origin, self.near
        return {
            "spec": self.dataset.spec.to_json(),
            "splits": {name: {"n": len(split), "hash": split.fingerprint} for name, split in splits.items()},
            "classes": dict(self.classes),
            **({"columns": [column.to_json() for column in self.columns]} if self.columns else {}),
            **({} if self.text is None else {"text": self.text.to_json()}),
            "mean": None if self.moments is None else self.moments.mean.tolist(),
            "std": None if self.moments is None else self.moments.std.tolist(),
            "duplicates": {
                "within": dict(self.duplicates.within),
                "between": dict(self.duplicates.between),
                "first": self._pairs(self.duplicates.first),
            },
            "near_duplicates": None if near is None else {
                "n": len(near),
                "first": self._pairs([(pair.train, pair.test) for pair in near[:PAIRS]]),
            },
            "bad": [{"name": name, "reason": reason} for name, reason in origin.bad],
            "prepared": None if origin.folder is None else str(origin.folder),
        }  # fmt: skip

    def _pairs(self, pairs: list[tuple[int, int]]) -> list[dict[str, Any]]:
        return [{"train": self.named("train", train), "test": self.named("test", test)} for train, test in pairs]


def inspect(dataset: Dataset, ratio: float) -> Inspection:
    """Look at all of a dataset.

    Args:
        dataset: It.
        ratio: Of near-duplicates, see there; 0: they are not looked for.
    """
    spec, origin = dataset.spec, dataset.provenance
    splits: Splits = {name: dataset.split(name) for name in NAMES}
    by_split = {name: hashes(split) for name, split in splits.items()}
    columns = column_facts(dataset)
    near = None
    if spec.modality == "image" and ratio > 0:
        known = set(by_split["train"])
        found = near_duplicates(splits["train"], splits["test"], ratio)
        near = [pair for pair in found if by_split["test"][pair.test] not in known]
    return Inspection(
        dataset,
        origin,
        _classes(splits, spec.num_classes, origin.class_names),
        moments(splits["train"]) if spec.modality != "sequence" and not columns else None,
        duplicates(by_split, PAIRS),
        near,
        origin.names(),
        columns,
        text_facts(dataset),
    )


def _classes(splits: Splits, classes: int | None, names: tuple[str, ...]) -> dict[str, list[int]]:
    if classes is None or any(split.labels is None for split in splits.values()):
        return {}
    counts = [class_counts(splits[name], classes) for name in NAMES]
    return {names[i] if names else str(i): [found[i] for found in counts] for i in range(classes)}

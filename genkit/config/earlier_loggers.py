"""Loggers of version 2, which were Lightning's, in the words of version 3, which has its own.

TensorBoard goes on as genkit's, which has no arguments; a CSV file beside metrics.jsonl, which says the same, is left
out. Others sent data away and were chosen again at each resume, as they still are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.config.names import TARGET

LIGHTNING = "lightning.pytorch.loggers"
REPLACED: dict[str, dict[str, str] | None] = {
    f"{LIGHTNING}.TensorBoardLogger": {TARGET: "genkit.loggers.tensorboard.TensorBoard"},
    f"{LIGHTNING}.CSVLogger": None,
}


def with_own_loggers(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 2 as one of version 3."""
    train = document.get("train")
    logger = train.get("logger") if isinstance(train, Mapping) else None
    target = logger.get(TARGET) if isinstance(logger, Mapping) else None
    if not isinstance(target, str) or target not in REPLACED:
        return document
    return {**document, "train": {**document["train"], "logger": REPLACED[target]}}

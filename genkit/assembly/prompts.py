"""Prompts: beginnings of texts that samples go on from, by `prompt=` or, a line each, by `prompts=FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from genkit.config.sampling_arguments import declared_by
from genkit.config.settings import SampleSettings
from genkit.data.text.kind import Text
from genkit.errors import ConfigError, DataError
from genkit.models.base import Completes, GenerativeModel
from genkit.models.stream import Beginnings
from genkit.printing import shown


def beginnings(model: GenerativeModel, settings: SampleSettings) -> Beginnings | None:
    """Beginnings of the samples of a model, None where nothing is asked for.

    Raises:
        ConfigError: the model cannot go on from a text, or its data is no text; a prompt is empty, is as long as an
            example, or has symbols that the model does not know; both keys are given.
        DataError: the file of prompts cannot be read.
    """
    key, texts = _texts(settings)
    return begun(model, key, texts) if texts else None


def begun(model: GenerativeModel, key: str, texts: Sequence[str]) -> Beginnings:
    """These texts as beginnings of samples of a model; raises as `beginnings`, which name the key."""
    kind, length = model.spec.kind, model.spec.dim
    if not isinstance(kind, Text):
        raise ConfigError(f"{key}=: this model was trained on {model.spec.modality} data and not on text: leave it out")
    if not isinstance(model, Completes):
        raise ConfigError(f"{key}=: {type(model).__name__} cannot go on from a beginning: leave it out")
    x = torch.full((len(texts), length), kind.pad, dtype=torch.int64)
    known = torch.zeros(len(texts), length, dtype=torch.bool)
    for row, text in enumerate(texts):
        where = f"{key}={shown(text, 40)}" if len(texts) == 1 else f"{key}=, line {row + 1}"
        try:
            ids = kind.tokenizer.encode(text.encode("utf-8", "surrogateescape"))
        except DataError as error:
            raise ConfigError(f"{where}: {error}") from error
        if len(ids) >= length:
            can = "length" in declared_by(type(model))
            longer = f", or draw longer samples (length={2 * len(ids)})" if can else ""
            raise ConfigError(
                f"{where}: {len(ids):,} tokens, and a sample has {length:,}: give at most {length - 1:,}{longer}"
            )
        x[row, : len(ids)], known[row, : len(ids)] = torch.as_tensor(ids.astype("int64")), True
    return Beginnings(x, known)


def _texts(settings: SampleSettings) -> tuple[str, list[str]]:
    """The key that names prompts, and these."""
    if settings.prompt is not None and settings.prompts is not None:
        raise ConfigError("prompt= and prompts= both say what samples begin with: leave one out")
    if settings.show is not None and (settings.prompt is not None or settings.prompts is not None):
        raise ConfigError("prompt= says what samples begin with, and show= draws none: leave one out")
    if settings.prompts is None:
        return "prompt", [] if settings.prompt is None else [_some(settings.prompt)]
    path = Path(settings.prompts)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"prompts={shown(path)}: cannot be read as UTF-8 text: name a file of a prompt a line"
        ) from error
    if not (texts := [line for line in lines if line]):
        raise DataError(f"prompts={shown(path)}: no line has a prompt")
    return "prompts", texts


def _some(text: str) -> str:
    if not text:
        raise ConfigError("prompt= is empty: leave it out to draw from the start")
    return text

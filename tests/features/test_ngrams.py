"""Shares of n-grams as features: by hand, and each row a function of its own text."""

from __future__ import annotations

import math

import pytest
import torch

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes
from genkit.errors import ConfigError
from genkit.features.base import RealData
from genkit.features.default import default_features
from genkit.features.ngrams import Ngrams

KIND = Text(tokenizer=Bytes())
SPEC = DataSpec((16,), "sequence", kind=KIND)


def fitted(texts: list[str], **more: int) -> Ngrams:
    return Ngrams(**more).fitted(RealData(SPEC, InMemory(rows(texts))))


def rows(texts: list[str]) -> torch.Tensor:
    return KIND.examples([text.encode() for text in texts], 16)


def test_shares_by_hand():
    """Of "abab" and "ab": a and b three times each, ab three times, ba, aba and bab once."""
    features = fitted(["abab", "ab"], n=2, count=3)
    assert features.dim(SPEC) == 3
    found = features(rows(["ab", "aab", "xyz", ""]), SPEC)
    expected = [[1 / 2, 1 / 2, 1 / 2], [2 / 3, 1 / 3, 1 / 3], [0, 0, 0], [0, 0, 0]]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64).sqrt(), atol=1e-15)


def test_a_row_depends_on_its_text_alone_and_letters_are_those_of_unicode():
    features = fitted(["täglich", "漢字漢字", "🙂🙂"])
    texts = ["täglich 漢字", "🙂", "ä"]
    together = features(rows(texts), SPEC)
    assert torch.equal(together, torch.cat([features(rows([text]), SPEC) for text in texts]))
    assert math.isclose(float(together[1].max()), 1.0)


def test_text_has_them_by_default_and_a_reference_is_needed():
    assert isinstance(default_features(SPEC, None), Ngrams)
    with pytest.raises(ConfigError, match="fitted on a reference first"):
        Ngrams()(rows(["a"]), SPEC)
    with pytest.raises(ConfigError, match="no text"):
        fitted(["", ""])

"""Molecules among samples: by hand, and one line where the library is missing."""

from __future__ import annotations

import math
import sys

import pytest

from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.smiles import SmilesMetric, SmilesNovelty, SmilesUniqueness, SmilesValidity

KIND = Text(tokenizer=Bytes())
SPEC = DataSpec((12,), "sequence", kind=KIND)
SAMPLES = ["OCC", "CCO", "c1ccccc1", "C(C", "C(C)(C)(C)(C)C", "", "C C", "C" * 12]  # the last one has not ended
TRAIN = ["CCO", "CC"]


def fed(metric: SmilesMetric, samples: list[str] = SAMPLES) -> SmilesMetric:
    for name, texts in (("fake", samples), ("train", TRAIN)):
        x = KIND.examples([text.encode() for text in texts], 12)
        metric.update(Probe(SPEC, {name: lambda x=x: x}))
    return metric


def test_molecules_by_hand():
    pytest.importorskip("rdkit")
    assert float(fed(SmilesValidity()).compute()) == 3 / 8
    assert float(fed(SmilesUniqueness()).compute()) == 2 / 3
    assert float(fed(SmilesNovelty()).compute()) == 1 / 2
    assert fed(SmilesNovelty()).findings() == {"count": 1, "of": 2}
    low, high = fed(SmilesValidity()).interval(1, 0)
    assert low < 3 / 8 < high


def test_without_any_molecule_nothing_is_unique():
    pytest.importorskip("rdkit")
    assert float(fed(SmilesValidity(), ["X", "C("]).compute()) == 0
    assert math.isnan(float(fed(SmilesUniqueness(), ["X", "C("]).compute()))
    assert fed(SmilesUniqueness(), ["X", "C("]).interval(1, 0) is None


def test_a_missing_library_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(ConfigError, match=r"molecules need rdkit: pip install 'genkit-toolkit\[molecules\]'"):
        fed(SmilesValidity())

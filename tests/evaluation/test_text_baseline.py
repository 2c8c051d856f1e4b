"""Rows of n-grams and compressors beside scores of text: what they sum to, and where there are none."""

from __future__ import annotations

import math
import random

import pytest
import torch

from genkit.data.dataset import Dataset
from genkit.data.sources.lines import Lines
from genkit.data.sources.toy import Toy
from genkit.errors import ConfigError
from genkit.evaluation.baseline import OF_TEXT, baselines_of
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.text_baseline import text_source
from genkit.features.raw import RawFeatures
from genkit.metrics.bits_per_byte import BitsPerByte
from genkit.metrics.likelihood import NegativeLogLikelihood
from genkit.metrics.ngram import witten_bell


@pytest.fixture
def data(tmp_path, monkeypatch) -> Dataset:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    draw = random.Random(0)
    lines = ["".join(draw.choice(["ab", "ba", "cab"]) for _ in range(draw.randint(1, 12))) for _ in range(400)]
    (tmp_path / "lines").write_text("\n".join(lines))
    return Lines(str(tmp_path / "lines"), length=8)


def test_windows_share_what_their_documents_cost(data):
    source = text_source("ngram", data, data.split("test"))
    order = int(source.label.removesuffix("-gram")) - 1
    documents = {name: [found.document(i).numpy() for i in range(len(found))] for name, found in data.documents.items()}
    *_, found = witten_bell(documents["train"], documents["test"], data.kind.vocabulary + 1, order)
    assert float(source.log_prob.sum()) == pytest.approx(found.sum(), rel=1e-12)
    assert len(source.log_prob) == len(data.split("test"))
    x = data.split("test").take(torch.arange(2)).x
    first = int((x[0] != data.kind.pad).sum())
    assert float(source.log_prob[0]) == pytest.approx(found[:first].sum(), rel=1e-12)


def test_rows_beside_a_score(data):
    metrics = {"bits_per_byte": BitsPerByte(), "nll": NegativeLogLikelihood()}
    evaluator = Evaluator(metrics, RawFeatures("none"), Reference.of(data, "lines"), named=False, batch_size=7)
    rows = {row.source: row for row in evaluator.score_baselines(5)}
    assert set(rows) - {"zlib", "bz2", "lzma"} == {name for name in rows if name.endswith("-gram")}
    assert len(rows) == len(OF_TEXT)
    assert all(row.baseline and row.metric == "bits_per_byte" for row in rows.values())
    assert all(0.3 < row.value < math.log2(4) + 0.5 for row in rows.values())
    gram = next(row for name, row in rows.items() if name.endswith("-gram"))
    assert gram.ci95[0] < gram.value < gram.ci95[1]
    assert rows["lzma"].ci95 is None


def test_other_data_has_none():
    toy = Toy()
    assert text_source("ngram", toy, toy.split("test")) is None
    with pytest.raises(ConfigError, match=r"baselines=\[zlib\]"):
        baselines_of(toy.spec, ["zlib"])

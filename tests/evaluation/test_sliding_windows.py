"""Bits per byte by sliding windows: closed forms of a model whose conditionals are known, records, comparison."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from token_models import Costing, CostingTokens
from torch import Tensor

from genkit.data.sources.digits import Digits
from genkit.data.sources.lines import Lines
from genkit.data.sources.text import TextFiles
from genkit.errors import ConfigError
from genkit.evaluation.document_rows import document_rows
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.record import Record
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import SampleSource
from genkit.features.raw import RawFeatures
from genkit.metrics.bits_per_byte import BitsPerByte
from genkit.metrics.likelihood import BitsPerDim
from genkit.report.comparison import compare
from genkit.report.results import write_json

COST = 0.25  # nats of the token at place t: COST * (1 + T − t), so context is worth something


class ByPlace(CostingTokens):
    """A token costs the less the more tokens stand before it."""

    def token_log_prob(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        costs = -COST * (1 + self.spec.dim - torch.arange(self.spec.dim)).double()
        return costs.expand(tokens.shape).where(tokens != self.spec.kind.pad, 0.0)


class BoundByPlace(Costing):
    """The same as a bound of whole windows, which says nothing of single tokens."""

    bound = "lower"
    costs = ByPlace.token_log_prob

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.costs(x).sum(1)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A text of one document, and the number of tokens of its test part with the end."""
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    draw = random.Random(0)
    text = " ".join(draw.choice(["alpha", "beta", "gamma"]) for _ in range(1000))
    (tmp_path / "text").write_text(text)
    return lambda **more: TextFiles(str(tmp_path / "text"), **more)


def scored(data, model, stride=None, **more) -> tuple[Record, Evaluator]:
    evaluator = Evaluator(
        {"bits_per_byte": BitsPerByte(stride)}, RawFeatures("none"), Reference.of(data, "text"), named=True, **more
    )
    [record] = evaluator.score_model(model, 1)
    return record, evaluator


def by_hand(size: int, length: int, stride: int) -> float:
    """Nats of a document of so many tokens."""
    first = [COST * (1 + length - t) for t in range(min(size, length))]
    later = [COST * (1 + length - (p - ((p - length) // stride + 1) * stride)) for p in range(length, size)]
    return sum(first) + sum(later)


@pytest.mark.parametrize("stride", [1, 5, 8, 16, None])
def test_tokens_cost_what_their_windows_say(source, stride):
    data = source(length=16)
    [size] = data.documents["test"].lengths.tolist()
    record, evaluator = scored(data, ByPlace(data.spec), stride, batch_size=5)
    taken = stride or 8
    nats = by_hand(size, 16, taken)
    assert record.findings["nats"] == pytest.approx(nats, rel=1e-12)
    assert record.value == pytest.approx(nats / (size - 1) / math.log(2), rel=1e-12)
    assert (record.findings["tokens"], record.findings["context"], record.findings["stride"]) == (size, 16, taken)
    assert record.params["stride"] == {16: "T", 8: "T/2"}.get(taken, f"{taken} of T = 16")
    assert f"context 16 tokens (bytes), stride {taken}, ends paid for" in record.notes[0]
    [row] = document_rows(evaluator)["bits_per_byte"]
    assert (row["tokens"], row["bits_per_byte"]) == (size, record.value)
    assert row["begins"][:4] in "alpha beta gamma alpha"


def test_more_context_never_costs_more_here(source):
    data = source(length=16)
    values = [scored(data, ByPlace(data.spec), stride)[0].value for stride in (1, 2, 4, 8, 16)]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_a_document_shorter_than_a_window_scores_the_same_with_any_stride(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "lines").write_text("\n".join(f"{'ab' * (i % 7 + 1)}{i}" for i in range(90)))
    data = Lines(str(tmp_path / "lines"), length=32)
    assert len({scored(data, ByPlace(data.spec), stride)[0].value for stride in (1, 7, None, 32)}) == 1


def test_a_bound_of_windows_is_scored_side_by_side_and_the_record_says_so(source):
    data = source(length=16)
    [size] = data.documents["test"].lengths.tolist()
    for stride in (None, 4):
        record, _ = scored(data, BoundByPlace(data.spec), stride)
        assert record.findings["nats"] == pytest.approx(by_hand(size, 16, 16), rel=1e-12)
        assert (record.findings["stride"], record.params["stride"], record.kind) == (16, "T", "lower")
        assert any("windows lie side by side" in warning for warning in record.warnings) == (stride == 4)


def test_a_stride_beyond_the_context_is_refused(source):
    data = source(length=16)
    with pytest.raises(ConfigError, match="metric=bits_per_byte cannot score model: stride=17: windows of 16 tokens"):
        scored(data, ByPlace(data.spec), 17)


def test_images_have_no_bits_per_byte():
    data = Digits()
    metrics = {"bits_per_byte": BitsPerByte(), "bits_per_dim": BitsPerDim()}
    evaluator = Evaluator(metrics, RawFeatures(), Reference.of(data, "digits"), named=False)
    obstacles = evaluator.obstacles(SampleSource(data.split("test")))
    assert obstacles["bits_per_byte"].startswith("it is defined on sequence data, not image")
    assert obstacles["bits_per_dim"].startswith("samples alone give no log prob")


def test_scores_compare_whatever_the_tokens_and_the_context_but_not_across_strides(source, tmp_path):
    """Another tokenizer and length is other data to a model; the text is the same."""
    places = []
    for name, more, stride in (
        ("bytes", {"length": 16}, None),
        ("letters", {"length": 24, "tokenizer": "characters"}, None),
        ("side by side", {"length": 16}, 16),
    ):
        data = source(**more)
        record, evaluator = scored(data, ByPlace(data.spec), stride)
        baseline = evaluator.score_baselines(1, ["ngram"])
        assert "stride" not in baseline[0].params
        folder = tmp_path / name
        folder.mkdir()
        write_json(folder / "results.json", [replace(record, source=name), *baseline], {})
        places.append(folder / "results.json")
    rows = compare(places[:2])["bits_per_byte"]
    assert {row.source for row in rows} > {"bytes", "letters"}
    with pytest.raises(ConfigError, match=r"has stride T/2, side by side .* has T"):
        compare([places[0], places[2]])
    compare([places[2]])

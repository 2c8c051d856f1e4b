"""Costs of single tokens: those that bits per byte adds up, by context and in the first documents."""

from __future__ import annotations

import math

import pytest
import torch
from token_models import CostingTokens

from genkit.assembly.text_pictures import file_name, text_pictures
from genkit.data.sources.lines import Lines
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import ModelSource, SampleSource
from genkit.evaluation.token_scores import bits_by_context, excerpts
from genkit.features.ngrams import Ngrams
from genkit.metrics.bits_per_byte import BitsPerByte
from genkit.metrics.diversity import DistinctN


class ByToken(CostingTokens):
    """Token v at place t costs 1 + v + 100 t nats, pads nothing."""

    def token_log_prob(self, tokens, y=None):
        costs = 1 + tokens + 100 * torch.arange(tokens.shape[1])
        return -costs.double().where(tokens != self.spec.kind.pad, 0.0)


@pytest.fixture
def evaluator(tmp_path, monkeypatch) -> Evaluator:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "lines").write_text("\n".join(f"{'ab' * (i % 5 + 1)}{i % 10}{'c' * (i // 10)}" for i in range(100)))
    data = Lines(str(tmp_path / "lines"), length=8)
    metrics = {"bits_per_byte": BitsPerByte(), "distinct_n": DistinctN()}
    return Evaluator(metrics, Ngrams(), Reference.of(data, "lines"), named=True, floor_repeats=1)


def test_costs_by_context_are_those_of_windows_side_by_side(evaluator):
    source = ModelSource(ByToken(evaluator.spec), 3)
    found = bits_by_context(evaluator, source)
    x = evaluator.reference.data.between(0, len(found)).x
    expected = (1 + x + 100 * torch.arange(8)).double() / math.log(2)
    pads = x == evaluator.spec.kind.pad
    assert torch.equal(found.isnan(), pads)
    assert torch.allclose(found[~pads], expected[~pads])


def test_excerpts_are_the_first_documents_and_cost_what_the_score_says(evaluator):
    source = ModelSource(ByToken(evaluator.spec), 3)
    evaluator.score(source)
    rows = evaluator.details["model", "bits_per_byte"]
    documents = evaluator.reference.data.documents
    found = excerpts(evaluator, source)
    assert len(found) == 4
    for excerpt in found:
        assert torch.equal(excerpt.tokens, documents.document(excerpt.document))
        assert float(excerpt.bits.sum()) * math.log(2) == pytest.approx(rows[excerpt.document]["nats"])


def test_pictures_of_a_model_and_of_samples(evaluator, tmp_path):
    model = ModelSource(ByToken(evaluator.spec), 3)
    samples = SampleSource(evaluator.reference.data, "a file")
    evaluator.score(model)
    evaluator.metrics = {"distinct_n": DistinctN()}
    evaluator.score(samples)
    titles = {"model": "a model on lines, step 1", "a file": "a file, judged by lines"}
    alone = text_pictures(evaluator, [model], {"model": titles["model"]})
    assert sorted(alone) == ["loss_by_context.png", "samples.png", "surprise.html"]
    both = text_pictures(evaluator, [model, samples], titles)
    names = ["loss_by_context.png", "samples-1-model.png", "samples-2-a_file.png", "surprise-1-model.html"]
    assert sorted(both) == names
    for name, draw in alone.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    assert "a model on lines, step 1: what each token of lines test costs" in (tmp_path / "surprise.html").read_text()
    assert file_name("a", ".png", 2, "x/../y", True) == "a-2-x_.._y.png"

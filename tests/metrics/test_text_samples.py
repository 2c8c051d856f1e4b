"""Scores of samples of text: by hand, against brute force, and laws of copies, order and batches."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes, Characters
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.diversity import DistinctN, SelfBLEU
from genkit.metrics.grams import grams, longest_matches
from genkit.metrics.text_copying import CopiedNgrams, LongestCopy
from genkit.metrics.text_metric import TextMetric

KIND = Text(tokenizer=Bytes())
METRICS = {
    "distinct_n": DistinctN,
    "self_bleu": SelfBLEU,
    "longest_copy": LongestCopy,
    "copied_ngrams": lambda: CopiedNgrams(2),
}


def windows(documents: list[str], length: int, kind: Text = KIND) -> torch.Tensor:
    """Documents in windows side by side, as a split has them."""
    rows = []
    for document in documents:
        ids = np.append(kind.tokenizer.encode(document.encode()), kind.eos)
        for low in range(0, len(ids), length):
            row = np.full(length, kind.pad)
            row[: len(ids) - low] = ids[low : low + length][: len(row)]
            rows.append(row)
    return torch.from_numpy(np.stack(rows))


def fed(metric: TextMetric, samples: list[str], train: list[str] = (), batch: int = 100, kind: Text = KIND):
    spec = DataSpec((64,), "sequence", kind=kind)
    for name, x in (
        ("fake", kind.examples([text.encode() for text in samples], 64)),
        ("train", windows(train, 5, kind) if train else None),
    ):
        for part in () if x is None else x.split(batch):
            metric.update(Probe(spec, {name: lambda part=part: part}))
    return metric


def sequences(draw: random.Random) -> list[np.ndarray]:
    return [
        np.array([draw.randint(0, 2) for _ in range(draw.randint(0, 20))], np.int64) for _ in range(draw.randint(1, 4))
    ]


def test_longest_matches_and_n_grams_are_those_of_brute_force():
    draw = random.Random(0)
    for _ in range(60):
        train, test = sequences(draw), sequences(draw)
        known = ["".join(map(str, sequence)) for sequence in train]
        for found, sequence in zip(longest_matches(train, test), test, strict=True):
            text = "".join(map(str, sequence))
            for i, length in enumerate(found):
                assert any(text[i : i + length] in other for other in known)
                assert i + length == len(text) or not any(text[i : i + length + 1] in other for other in known)
        n = draw.randint(1, 4)
        number, owner = grams(test, n)
        expected = [(tuple(s[i : i + n]), k) for k, s in enumerate(test) for i in range(len(s) - n + 1)]
        assert owner.tolist() == [k for _, k in expected]
        assert len({*zip(number.tolist(), (gram for gram, _ in expected), strict=True)}) == len(set(number.tolist()))
        assert len(set(number.tolist())) == len({gram for gram, _ in expected})


def test_a_match_does_not_cross_the_end_of_a_document():
    [found] = longest_matches([np.array([1, 2]), np.array([3, 4])], [np.array([1, 2, 3, 4])])
    assert found.tolist() == [2, 1, 2, 1]


def test_self_bleu_by_hand():
    """Of "a b c d", "a b c e" and "a b": precisions of one and two words, clipped, and the penalty of the short one."""
    metric = fed(SelfBLEU(2), ["a b c d", "a b c e", "a b"])
    metric.prepare(metric.cut(metric.texts()))
    each = metric.each(np.ones(3, bool))
    # first: a, b, c of 4 words; a b, b c of 3 pairs; the second sample is as long. The third: all, closest has 4 words
    by_hand = [math.sqrt(3 / 4 * 2 / 3), math.sqrt(3 / 4 * 2 / 3), math.sqrt(1.0 * 1.0) * math.exp(1 - 4 / 2)]
    assert each.tolist() == pytest.approx(by_hand, abs=1e-12)
    assert float(metric.compute()) == pytest.approx(sum(by_hand) / 3)


def test_a_word_counts_at_most_as_often_as_another_sample_has_it_and_no_match_counts_a_tenth():
    metric = fed(SelfBLEU(2), ["a a a", "a b"])
    metric.prepare(metric.cut(metric.texts()))
    expected = [math.sqrt(1 / 3 * 0.1 / 2), math.sqrt(1 / 2 * 0.1 / 1) * math.exp(1 - 3 / 2)]
    assert metric.each(np.ones(2, bool)).tolist() == pytest.approx(expected)
    assert float(fed(SelfBLEU(), ["a b", "c d"]).compute()) == 0


def test_equal_samples_have_all_of_each_other_and_few_distinct_n_grams():
    same = ["the cat sat on the mat"] * 5
    assert float(fed(SelfBLEU(), same).compute()) == pytest.approx(1.0)
    assert float(fed(DistinctN(1), same).compute()) == pytest.approx(5 / 30)
    assert float(fed(DistinctN(2), ["a b a", "b a"]).compute()) == pytest.approx(2 / 3)
    assert fed(DistinctN(2), ["a b a", "b a"]).findings() == {
        "distinct_1": 2 / 5,
        "distinct_2": 2 / 3,
        "distinct_3": 1.0,
        "units": 5,
    }


def test_copies_by_hand():
    """Training documents come in windows of five bytes and are put together before anything is looked up."""
    train = ["the cat sat on the mat", "a dog barked"]
    metric = fed(LongestCopy(), ["cat sat in", "xyz"], train)
    assert float(metric.compute()) == pytest.approx((len("cat sat ") + 0) / 2)
    assert metric.findings() == {"longest": 8, "text": "cat sat ", "train": 34}
    assert next(metric.notes()) == "the longest one has 8 characters: cat sat "
    pairs = fed(CopiedNgrams(2), ["cat sat in", "dog barked loud"], train)
    assert float(pairs.compute()) == pytest.approx(2 / 4)
    assert pairs.findings()["copied_1"] == pytest.approx(4 / 6)
    assert "copied_4" not in pairs.findings()


def test_training_text_given_back_is_copied_whole():
    train = ["one two three four five six seven eight", "nine ten eleven"]
    samples = ["three four five six seven", "nine ten"]
    assert float(fed(CopiedNgrams(2), samples, train).compute()) == 1.0
    assert float(fed(LongestCopy(), samples, train).compute()) == sum(map(len, samples)) / 2
    low, high = fed(CopiedNgrams(2), samples, train).interval(10, 0)
    assert low <= 1.0 == high


def test_a_closed_alphabet_is_cut_into_characters():
    kind = Text(tokenizer=Characters("CNO=()c1"))
    assert fed(DistinctN(2), ["CCO", "CC=O"], kind=kind).params() == {"n": 2, "unit": "characters"}
    assert float(fed(DistinctN(2), ["CCO", "CC=O"], kind=kind).compute()) == 4 / 5
    assert fed(CopiedNgrams(), ["CC"], ["CC"], kind=kind).params() == {"n": 16, "unit": "characters"}
    assert fed(CopiedNgrams(), ["CC"], ["CC"]).params() == {"n": 5, "unit": "words"}


@pytest.mark.parametrize("name", METRICS)
def test_neither_batches_nor_the_order_of_samples_change_a_score(name):
    draw = random.Random(1)
    samples = [" ".join(draw.choice(["ab", "cd", "ef", "gh"]) for _ in range(draw.randint(0, 9))) for _ in range(30)]
    scores = {
        round(float(fed(METRICS[name](), texts, ["ab cd ef", "gh ab gh"], batch).compute()), 12)
        for texts, batch in ((samples, 100), (samples, 3), (samples[::-1], 7))
    }
    assert len(scores) == 1


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_covers_the_mean_over_draws_of_samples(name):
    """Of 40 draws of 60 samples; the mean is that of all draws."""
    draw, found = random.Random(2), []
    words, train = ["ab", "cd", "ef", "gh", "ij", "kl"], ["ab cd ef gh", "ij kl ab"]
    for trial in range(40):
        samples = [" ".join(draw.choices(words, [6, 5, 4, 3, 2, 1], k=draw.randint(3, 9))) for _ in range(60)]
        metric = fed(METRICS[name](), samples, train)
        found.append((float(metric.compute()), metric.interval(30, trial)))
    mean = sum(value for value, _ in found) / len(found)
    assert sum(low <= mean <= high for _, (low, high) in found) >= 33
    widths = [high - low for _, (low, high) in found]
    assert max(widths) < 0.8 * max(1.0, mean)


def test_too_few_samples_are_refused():
    for metric in (DistinctN(), LongestCopy()):
        with pytest.raises(ConfigError, match="needs at least 2 samples"):
            fed(metric, ["a"], ["a"]).compute()


def test_samples_without_words_have_scores_that_say_so():
    empty = ["", "", ""]
    assert float(fed(DistinctN(), empty).compute()) == 0
    assert float(fed(SelfBLEU(), empty).compute()) == 0
    assert float(fed(LongestCopy(), empty, ["a"]).compute()) == 0
    assert math.isnan(float(fed(CopiedNgrams(), empty, ["a"]).compute()))
    assert fed(CopiedNgrams(), empty, ["a"]).interval(5, 0) is None

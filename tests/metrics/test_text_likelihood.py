"""Bits per byte, n-grams and compressors: closed forms, laws, and a floor on the embedded text."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
import torch

from genkit.data.spec import DataSpec
from genkit.data.text.byte_pairs import BytePairs
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.bits_per_byte import BitsPerByte, bits_per_unit, blocks, characters
from genkit.metrics.compression import COMPRESSORS, primed_size
from genkit.metrics.ngram import witten_bell


def score(kind: Text, documents: list[bytes], nats: list[float], length: int = 16, batch: int = 100) -> BitsPerByte:
    x = kind.examples(documents, length)
    metric = BitsPerByte()
    for low in range(0, len(x), batch):
        part, values = x[low : low + batch], torch.tensor(nats[low : low + batch])
        spec = DataSpec((length,), "sequence", kind=kind)
        metric.update(Probe(spec, {"real": lambda p=part: p, "log_prob": lambda v=values: -v}))
    return metric


def test_nats_are_summed_and_divided_once():
    metric = score(Text(tokenizer=Bytes()), [b"ab", "ü".encode(), b""], [1.0, 2.0, 5.0])
    assert float(metric.compute()) == pytest.approx(8 / (4 * math.log(2)), abs=1e-15)
    found = metric.findings()
    assert (found["bytes"], found["characters"], found["tokens"], found["documents"]) == (4, 3, 7, 3)
    assert found["bits_per_character"] == pytest.approx(bits_per_unit(8, 3))
    assert found["perplexity_per_token"] == pytest.approx(math.exp(8 / 7))
    assert (found["context"], found["stride"], found["tokenizer"][:5]) == (16, 16, "bytes")
    assert metric.params() == {"stride": "T", "includes_eos": True, "of": "text"}
    assert "context 16 tokens (bytes), stride 16, ends paid for" in next(metric.notes())


def test_tokens_of_several_bytes_and_batches_change_nothing():
    documents, nats = [b"abab ab", b"ab", b"b" * 9], [3.0, 1.0, 4.0]
    one = score(Text(tokenizer=Bytes()), documents, nats)
    pairs = score(Text(tokenizer=BytePairs(((97, 98), (32, 256)))), documents, nats, batch=1)
    assert float(one.compute()) == float(pairs.compute())
    assert pairs.findings()["tokens"] < one.findings()["tokens"]


def test_a_character_that_windows_cut_counts_once():
    kind = Text(tokenizer=Bytes())
    whole = "aü漢🙂".encode()
    halves = torch.cat([kind.examples([whole[:i], whole[i:]], 12) for i in range(len(whole))])
    assert (characters(halves, kind).view(-1, 2).sum(1) == 4).all()


def test_blocks_are_documents_or_four_kibibytes_of_few():
    ended, sizes = torch.tensor([0, 1, 1, 0, 0, 1]).bool(), torch.full((6,), 3000)
    assert blocks(ended, sizes, fewest=3).tolist() == [0, 0, 1, 2, 2, 2]
    assert blocks(ended, sizes, fewest=4).tolist() == [0, 0, 1, 2, 2, 3]


def test_the_interval_covers_the_mean_over_draws_of_documents():
    draw, kind, hits = random.Random(0), Text(tokenizer=Bytes()), 0
    for trial in range(100):
        sizes = [draw.randint(1, 15) for _ in range(40)]
        nats = [size * draw.uniform(0.5, 1.5) * math.log(2) for size in sizes]  # one bit a byte
        low, high = score(kind, [b"a" * size for size in sizes], nats).interval(100, trial)
        hits += low <= 1.0 <= high
    assert 88 <= hits <= 100


TRAIN = [[0, 1, 0, 1, 2], [1, 1, 2], [0, 0, 1, 0, 2]]  # 2 ends a document


def arrays(documents):
    return [np.array(document, np.int64) for document in documents]


@pytest.mark.parametrize("order", [0, 1, 3])
def test_probabilities_of_all_documents_add_up_to_one(order):
    """Of length ≤ 5 with their ends, and those that have not ended after 5 tokens."""
    every = [[*body, 2] for n in range(5) for body in itertools.product([0, 1], repeat=n)]
    every += [list(body) for body in itertools.product([0, 1], repeat=5)]
    *_, found = witten_bell(arrays(TRAIN), arrays(every), 3, order)
    ends = np.cumsum([len(document) for document in every])[:-1]
    assert sum(math.exp(part.sum()) for part in np.split(found, ends)) == pytest.approx(1.0, abs=1e-12)


def test_n_grams_by_hand():
    orders = [np.exp(found) for found in witten_bell(arrays(TRAIN), arrays([[0, 1, 2]]), 3, 1)]
    # 13 tokens: 5 zeros, 5 ones, 3 ends; three kinds
    unigram = [(5 + 3 / 3) / 16, (5 + 3 / 3) / 16, (3 + 3 / 3) / 16]
    assert orders[0].tolist() == pytest.approx(unigram)
    # after the start: 0 0 1; after 0: 1 1 0 1 2 in three kinds; after 1: 0 2 1 2 0 in three kinds
    by_hand = [(2 + 2 * unigram[0]) / 5, (3 + 3 * unigram[1]) / 8, (2 + 3 * unigram[2]) / 8]
    assert orders[1].tolist() == pytest.approx(by_hand)


def test_a_context_that_never_occurred_leaves_it_to_the_shorter_one():
    zero, one, two = witten_bell(arrays([[0, 1, 2]]), arrays([[1, 1, 0]]), 3, 2)
    assert one[1] < 0
    assert two[2] == one[2]
    assert zero[0] == zero[1]


def test_n_grams_need_documents_and_tokens():
    for train, test in (([], [[0]]), ([[0, 3]], [[0]]), ([[0]], [[-1]])):
        with pytest.raises(ConfigError, match="n-grams count tokens"):
            list(witten_bell(arrays(train), arrays(test), 3, 1))


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_compressor_that_saw_the_text_needs_less(name):
    draw = random.Random(0)
    text = " ".join(draw.choice(["alpha", "beta", "gamma", "delta"]) for _ in range(3000)).encode()
    fresh = primed_size(name, b"", text)
    assert primed_size(name, text, text) < fresh
    assert primed_size(name, b"x" * 1000, text) > 0.5 * fresh
    assert 8 * fresh / len(text) < 8
    with pytest.raises(ConfigError, match="no compressor"):
        primed_size("rar", b"", text)

"""Tokenizers: bytes come back from their tokens, encoding is one function of the document, and JSON says all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest

from genkit.data.sources.pydoc import Pydoc
from genkit.data.text.byte_pairs import WORD, BytePairs, fit_byte_pairs
from genkit.data.text.embedded import PydocCorpus
from genkit.data.text.tokenizer import Bytes, Characters, Tokenizer
from genkit.data.text.tokenizers import tokenizer_of
from genkit.errors import ConfigError, DataError, GenkitError

MERGES = ((97, 98), (256, 99), (32, 256), (99, 98), (97, 259))  # ab, abc, " ab", cb, and a second way to no new string
TEXT = "A word, àé – 漢字 🙂,\n\n  def f(x):\r\n\treturn 12345 + x  # " + "long" * 30
ALL: dict[str, Tokenizer] = {
    "bytes": Bytes(),
    "bpe": BytePairs(MERGES),
    "characters": Characters("".join(sorted(set(TEXT)))),
}
CLOSED = ("characters",)


def documents(name: str) -> list[bytes]:
    if name in CLOSED:
        return [b"", TEXT.encode(), TEXT[::-1].encode()]
    draw = np.random.default_rng(0)
    noise = [draw.integers(0, 256, n).astype(np.uint8).tobytes() for n in (1, 2, 33, 500)]
    return [b"", bytes(range(256)), TEXT.encode(), b"ab" * 40, b"abcabab abc ab", b" " * 100, *noise]


@pytest.mark.parametrize("name", ALL)
def test_decoding_undoes_encoding(name):
    tokenizer = ALL[name]
    for document in documents(name):
        ids = tokenizer.encode(document)
        assert ids.dtype == np.int64
        assert tokenizer.decode(ids) == document
        assert tokenizer.lengths[ids].sum() == len(document)


@pytest.mark.parametrize("name", ALL)
def test_any_tokens_decode_and_others_are_refused(name):
    tokenizer = ALL[name]
    every = np.arange(tokenizer.vocabulary)
    assert tokenizer.decode(every[::-1]) == b"".join(tokenizer.pieces[::-1])
    assert len(set(tokenizer.pieces)) == tokenizer.vocabulary
    for wrong in (-1, tokenizer.vocabulary):
        with pytest.raises(DataError, match="this vocabulary is"):
            tokenizer.decode(np.array([0, wrong]))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_tokens_of_parts_are_those_of_the_whole(name, size):
    tokenizer = ALL[name]
    for document in documents(name):
        parts = [document[i : i + size] for i in range(0, len(document), size)]
        found = np.concatenate([np.empty(0, np.int64), *tokenizer.encode_parts(parts)])
        assert found.tolist() == tokenizer.encode(document).tolist()


@pytest.mark.parametrize("name", ALL)
def test_json_says_all_of_it(name):
    tokenizer = ALL[name]
    again = tokenizer_of(json.loads(json.dumps(tokenizer.to_json())))
    assert again == tokenizer
    assert again.hash == tokenizer.hash
    assert len({other.hash for other in ALL.values()}) == len(ALL)


def test_the_words_of_byte_pairs_are_all_of_the_text():
    for document in documents("bpe"):
        assert b"".join(WORD.findall(document)) == document


def test_pairs_are_joined_in_the_order_of_learning():
    tokenizer = ALL["bpe"]
    assert tokenizer.vocabulary == 261
    assert tokenizer.encode(b"abc").tolist() == [257]
    assert tokenizer.encode(b"abab ab").tolist() == [256, 256, 258]
    assert tokenizer.encode(b"cb acb").tolist() == [259, 32, 260]


@pytest.mark.parametrize(
    "node",
    [
        {"name": "bpe", "merges": [[97, 256]]},  # a token that is not there yet
        {"name": "bpe", "merges": [[97, 97], *([256 + i, 256 + i] for i in range(40))]},  # 2^40 bytes
        {"name": "bpe", "merges": [[97, -1]]},
        {"name": "bpe", "merges": [[97, 98], [97, 98]]},
        {"name": "bpe", "merges": [[97.0, 98]]},
        {"name": "characters", "alphabet": ""},
        {"name": "characters", "alphabet": "aa"},
        {"name": "characters", "alphabet": 3},
        {"name": "words"},
    ],
)
def test_what_is_no_tokenizer_is_refused(node):
    with pytest.raises((GenkitError, ValueError)):
        tokenizer_of(node)


def test_a_character_outside_the_alphabet_is_named():
    with pytest.raises(DataError, match="'Z' is none of the 2 of this alphabet"):
        Characters("ab").encode(b"abZ")
    with pytest.raises(DataError, match="not UTF-8 at byte 1"):
        Characters("ab").encode(b"a\xff")


LEARN = """
from genkit.data.text.byte_pairs import fit_byte_pairs
from genkit.data.text.embedded import PydocCorpus
documents = [b"".join(d.parts()) for d in PydocCorpus().documents()][:20]
print(fit_byte_pairs(documents, 300).hash)
"""


def test_learned_byte_pairs_are_those_of_the_library_in_any_process():
    library = pytest.importorskip("tokenizers")
    some = [b"".join(document.parts()) for document in PydocCorpus().documents()][:20]
    found = fit_byte_pairs(some, 300)
    assert found.vocabulary == 300
    hashes = set()
    for seed in ("1", "2"):
        made = subprocess.run(
            [sys.executable, "-c", LEARN],
            env={**os.environ, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": "true"},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(made.stdout.strip())
    assert hashes == {found.hash}
    # the library's own encoder, on the same words
    model = library.models.BPE(
        vocab={"".join(chr(256 + byte) for byte in piece): token for token, piece in enumerate(found.pieces)},
        merges=[tuple("".join(chr(256 + byte) for byte in found.pieces[t]) for t in pair) for pair in found.merges],
    )
    own = library.Tokenizer(model)
    for word in set(WORD.findall(some[3])):
        spelt = "".join(chr(256 + byte) for byte in word)
        assert own.encode(spelt).ids == found.encode(word).tolist()


def test_a_vocabulary_that_a_text_cannot_fill_is_refused():
    pytest.importorskip("tokenizers")
    with pytest.raises(DataError, match=r"data.vocabulary=900: the training text has pairs for 258 tokens only"):
        fit_byte_pairs([b"ab ab ab"], 900)
    with pytest.raises(ConfigError, match="257"):
        fit_byte_pairs([b"ab ab ab"], 256)


def test_the_embedded_text_is_as_it_was_frozen(monkeypatch, tmp_path):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path))
    data = Pydoc()
    assert data.prepared.about["documents"] == {"train": 25, "val": 15, "test": 17}
    assert sum(data.prepared.about["bytes"].values()) == 374_092
    texts = {name: [data.kind.documents(found.document(i)[None])[0] for i in range(len(found))]
             for name, found in data.documents.items()}  # fmt: skip
    assert sorted(chain.from_iterable(texts.values())) == sorted(
        text.encode() for text in PydocCorpus().topics.values()
    )

"""Text data: documents and their splits, windows that hold every token, places of training windows, bad files."""

from __future__ import annotations

import zipfile
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import check_finite
from genkit.data.kinds import Categorical
from genkit.data.samples import read_samples
from genkit.data.sources.fasta import Fasta
from genkit.data.sources.lines import Lines
from genkit.data.sources.text import TextFiles
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.data.text.document_split import split_documents
from genkit.data.text.kind import Text
from genkit.data.text.samples import written_text
from genkit.data.text.token_rows import Documents, Windows, packed, unpacked, width_of
from genkit.data.text.tokenizer import Bytes, Characters
from genkit.data.text.utf8 import boundary, checked
from genkit.errors import DataError, GenkitError

NAMES = ("train", "val", "test")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))


def folder_of(root: Path, texts: list[str]) -> Path:
    root.mkdir()
    for number, text in enumerate(texts):
        (root / f"{number:03}.txt").write_text(text, encoding="utf-8")
    return root


def written(root: Path, content: str | bytes) -> str:
    root.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


TEXTS = [f"document {i} " + "so it goes on " * (i % 7) + "ü" for i in range(40)]


def texts_of(data) -> dict[str, list[bytes]]:
    return {
        name: [data.kind.documents(found.document(i)[None])[0] for i in range(len(found))]
        for name, found in data.documents.items()
    }


# Documents and their splits


def test_every_way_to_name_the_same_documents_gives_the_same_splits(tmp_path):
    folder = folder_of(tmp_path / "texts", TEXTS)
    with zipfile.ZipFile(tmp_path / "texts.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    one = written(tmp_path / "one.txt", "\n%%\n".join(TEXTS))
    lines = written(tmp_path / "lines.txt", "\ufeff" + "\r\n".join(TEXTS) + "\n\n")
    fasta = written(tmp_path / "seq.fa", "".join(f">{i}\n{text[:9]}\n{text[9:]}\n" for i, text in enumerate(TEXTS)))
    ways = [
        TextFiles(str(folder), length=32),
        TextFiles(f"{folder}/*.txt", length=32),
        TextFiles(str(tmp_path / "texts.zip"), length=32),
        TextFiles(one, separator="\\n%%\\n", length=32),
        Lines(lines, tokenizer="bytes", length=32),
        Fasta(fasta, tokenizer="bytes", length=32),
    ]
    found = [texts_of(data) for data in ways]
    assert all(texts == found[0] for texts in found[:5])
    assert sum(map(len, found[5].values())) == len(TEXTS)  # where a line broke, a blank was lost
    assert all(found[0].values())
    assert sorted(chain.from_iterable(found[0].values())) == sorted(text.encode() for text in TEXTS)
    assert len({data.split("train").fingerprint for data in ways[:5]}) == 1


def test_equal_documents_fall_on_one_side(tmp_path):
    data = Lines(written(tmp_path / "lines", "\n".join(f"{'ab' * (i % 12 + 1)}" for i in range(200))))
    sides = [set(texts) for texts in texts_of(data).values()]
    assert sum(map(len, sides)) == 12 == len(set.union(*sides))


@pytest.mark.parametrize("documents", [3, 10, 57, 2000])
def test_a_tenth_of_the_text_is_held_out_twice(documents):
    draw = np.random.default_rng(0)
    sizes = (1 + draw.pareto(1.2, documents) * 100).astype(int).tolist()  # a few are far longer than the others
    hashes = np.array([draw.bytes(16) for _ in range(documents)], dtype="V16")
    names = np.array(split_documents(hashes, sizes, "a"))
    size = {name: sum(n for n, of in zip(sizes, names, strict=True) if of == name) for name in NAMES}
    assert set(names) == set(NAMES)
    if documents >= 57:
        assert all(abs(size[name] - 0.1 * sum(sizes)) <= 0.026 * sum(sizes) for name in ("val", "test"))
    order = draw.permutation(documents)
    assert split_documents(hashes[order], [sizes[i] for i in order], "a") == names[order].tolist()
    twice = split_documents(np.concatenate([hashes, hashes]), sizes * 2, "a")
    assert twice[:documents] == twice[documents:]


def test_one_text_is_cut_at_ninety_and_ninety_five_per_cent_between_characters(tmp_path):
    text = "äöü漢🙂" * 100
    data = TextFiles(written(tmp_path / "one.txt", text), length=16)
    parts = {name: b"".join(data.kind.documents(found.document(0)[None])) for name, found in data.documents.items()}
    whole = text.encode()
    assert b"".join(parts.values()) == whole
    for name, share in (("train", 0.9), ("val", 0.05), ("test", 0.05)):
        assert parts[name].decode()
        assert abs(len(parts[name]) - share * len(whole)) <= 6
    for name in NAMES:  # each part is a document
        assert int(data.kind.ended(data.split(name).between(0, len(data.split(name))).x).sum()) == 1


@pytest.mark.parametrize("tokenizer", ["bpe", "characters"])
def test_the_tokenizer_does_not_know_the_test_split(tmp_path, tokenizer):
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    keys = {"tokenizer": tokenizer, "vocabulary": 260, "length": 8}
    clean = TextFiles(written(tmp_path / "a", "abc abd " * 100), **keys)
    poisoned = TextFiles(written(tmp_path / "b", "abc abd " * 95 + "dddddddd" * 5), **keys)
    assert poisoned.kind.tokenizer.hash == clean.kind.tokenizer.hash
    assert poisoned.split("test").fingerprint != clean.split("test").fingerprint
    if tokenizer == "characters":
        with pytest.raises(DataError, match=r"'Z' is none of the 5 of this alphabet: data.tokenizer=bytes"):
            TextFiles(written(tmp_path / "c", "abc abd " * 100 + "Z"), **keys)


# Windows


def documents_of(lengths: list[int], kind: Text) -> Documents:
    """Documents of so many tokens with their ends, tokens in turn."""
    ids = np.concatenate([np.append(np.arange(n - 1) % kind.vocabulary, kind.eos) for n in lengths])
    return Documents.of(InMemory(torch.from_numpy(packed(ids, 2))), kind.eos)


KIND = Text(tokenizer=Characters("abcdefg"))


@pytest.mark.parametrize("lengths", [[1], [8], [9], [3, 20, 8, 1, 17], [100]])
def test_every_token_stands_in_one_window(lengths):
    documents = documents_of(lengths, KIND)
    assert documents.lengths.tolist() == lengths
    windows = Windows(documents, 8, KIND.pad)
    x = windows.between(0, len(windows)).x
    assert x[x != KIND.pad].tolist() == documents.between(0, sum(lengths)).tolist()
    assert int(KIND.ended(x).sum()) == len(lengths)
    shuffled = torch.randperm(len(windows))
    assert torch.equal(windows.take(shuffled).x, x[shuffled])
    assert torch.equal(windows[shuffled].take(torch.arange(len(x))).x, x[shuffled])
    special = (x >= KIND.vocabulary).int()
    assert torch.equal(special.cummax(1).values, special)  # nothing but pad after an end


@pytest.mark.parametrize("count", [2, 256, 257, 65_536, 65_537])
def test_tokens_come_back_from_their_bytes(count):
    ids = np.array([0, 1, count // 2, count - 1])
    assert unpacked(torch.from_numpy(packed(ids, width_of(count)))).tolist() == ids.tolist()
    assert width_of(count) == (1 if count <= 256 else 2 if count <= 65_536 else 3)


def test_training_windows_are_a_function_of_seed_epoch_and_number(tmp_path):
    draw = np.random.default_rng(0)
    texts = ["".join(draw.choice(list("abcdefgh"), 400)) for _ in range(5)]
    data = TextFiles(str(folder_of(tmp_path / "texts", texts)), length=16)
    index = torch.arange(len(data.view_source))
    assert len(index) == len(data.split("train"))

    def seen(index, seed=0, epoch=0):
        return data.view(data.view_source.take(index).x, index, ViewStream(seed, epoch))

    x = seen(index)
    assert torch.equal(x[[7, 3]], seen(torch.tensor([7, 3])))
    assert not torch.equal(x, seen(index, epoch=1))
    assert not torch.equal(x, seen(index, seed=1))
    assert not (x == data.kind.pad).any()  # a document longer than a window fills all of them
    whole = b"\0".join(texts_of(data)["train"])
    assert all(text in whole for text in data.kind.documents(x))
    starts = {
        whole.find(text) for epoch in range(100) for text in data.kind.documents(seen(torch.tensor([1]), epoch=epoch))
    }
    assert starts == set(range(8, 24))  # every place half a window around its own, which is 16


def test_a_document_that_fits_is_seen_whole(tmp_path):
    data = Lines(written(tmp_path / "l", "\n".join("ab" * (i + 1) for i in range(20))))
    assert data.spec.shape == (41,)
    index = torch.arange(len(data.view_source))
    assert torch.equal(data.view(index[:, None], index, ViewStream(0, 0)), data.split("train").take(index).x)
    assert bool(data.kind.ended(data.split("train").take(index).x).all())
    check_finite(data)


# The kind


def test_the_kind_says_what_an_example_is():
    x = KIND.examples([b"abc", b"", b"abcdefgabc"], 6)
    assert x.tolist() == [[0, 1, 2, 7, 8, 8], [7, 8, 8, 8, 8, 8], [0, 1, 2, 3, 4, 5]]
    assert KIND.documents(x) == [b"abc", b"", b"abcdef"]
    assert KIND.counts(x).tolist() == [3, 0, 6]
    assert KIND.sizes(x).tolist() == [3, 0, 6]
    assert KIND.ended(x).tolist() == [True, True, False]
    assert (KIND.special("eos"), KIND.special("pad"), KIND.count) == (7, 8, 9)
    assert isinstance(KIND, Categorical)
    spec = DataSpec((6,), "sequence", kind=KIND)
    assert DataSpec.from_json(spec.to_json()) == spec
    other = DataSpec((6,), "sequence", kind=Text(tokenizer=Characters("abcdefh")))
    assert spec.departure(other) == "kind"
    with pytest.raises(DataError, match=r"tokens in 0 … 9"):
        spec.unscale(torch.tensor([[0, 9, 0, 0, 0, 0]]))


def test_text_that_is_no_utf8_is_shown_and_never_changed(tmp_path):
    kind = Text(tokenizer=Bytes())
    x = kind.examples([b"a\xff\x1b[2J\n", "ü".encode()], 10)
    assert kind.texts(x) == ["a\ufffd\x1b[2J\n", "ü"]
    assert kind.documents(x)[0] == b"a\xff\x1b[2J\n"
    with written_text(tmp_path, DataSpec((10,), "sequence", kind=kind)) as append:
        append(x[:1])
        append(x[1:])
    lines = (tmp_path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '{"text": "a\ufffd\\u001b[2J\\n", "ended": true, "tokens": 7}'
    assert "--- 2\nü\n" in (tmp_path / "samples.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", [258, -1, 0.5])
def test_samples_that_are_no_tokens_are_refused(tmp_path, wrong):
    spec = DataSpec((4,), "sequence", kind=Text(tokenizer=Bytes()))
    np.savez(tmp_path / "s.npz", x=np.full((3, 4), wrong))
    with pytest.raises(DataError, match=r"integers v in 0 … 257"):
        read_samples(tmp_path / "s.npz", spec)
    np.savez(tmp_path / "s.npz", x=np.full((3, 4), 257))
    assert spec.kind.texts(read_samples(tmp_path / "s.npz", spec).x) == ["", "", ""]


# Files as they come


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_utf8_in_parts(size):
    data = ("\ufeffaé漢🙂" * 3).encode()
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    found = list(checked(iter(parts), "f", "strict"))
    assert b"".join(found) == data.removeprefix("\ufeff".encode())
    assert all(part.decode() for part in found)
    for at in range(len(data)):
        place = boundary(iter(parts), at)
        assert data[:place].decode() is not None
        assert 0 <= place - at < 4
    bad = data + b"\xe6\xbc"
    parts = [bad[i : i + size] for i in range(0, len(bad), size)]
    with pytest.raises(DataError, match=f"f: not UTF-8 at byte {len(data)}"):
        list(checked(iter(parts), "f", "strict"))
    assert b"".join(checked(iter(parts), "f", "replace")).decode().endswith("🙂\ufffd")


BAD = {
    "not UTF-8": ({"content": b"abc " * 50 + b"\xff\xfe"}, r"bad.txt: not UTF-8 at byte 200: .*data.errors=replace"),
    "UTF-16": ({"content": "hello".encode("utf-16")}, "not UTF-8 at byte 0"),
    "empty": ({"content": b""}, "bad.txt: empty"),
    "a mark alone": ({"content": b"\xef\xbb\xbf"}, "empty"),
    "short": ({"content": b"one line"}, "8 bytes of text, which are not enough"),
    "one document": (
        {"content": b"abc " * 50, "separator": "%%"},
        "one document only, .*data.separator='%%'",
    ),
    "two documents": ({"content": b"abc%%cde", "separator": "%%"}, "2 different of 2 documents, .* give at least 3"),
    "no separator": ({"content": b"abc", "separator": ""}, "data.separator=: an empty text"),
    "pattern": ({"root": "*.nothing"}, "no file has a name of this pattern"),
    "nothing": ({"root": "nowhere"}, "nowhere does not exist"),
    "vocabulary": (
        {"content": b"abc " * 50, "tokenizer": "bpe", "vocabulary": 999},
        "data.vocabulary=999: the training",
    ),
    "alphabet": ({"content": b"abc " * 50 + b"~", "tokenizer": "characters"}, "'~' is none of the 4 of this alphabet"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys, message = dict(BAD[case][0]), BAD[case][1]
    if case == "vocabulary":
        pytest.importorskip("tokenizers")
    if "content" in keys:
        keys["root"] = written(tmp_path / "bad.txt", keys.pop("content"))
    with pytest.raises(GenkitError, match=message) as found:
        TextFiles(**keys)
    assert "\n" not in str(found.value)
    assert found.value.exit_code in (2, 3)
    assert not list((tmp_path / "cache" / "data").glob("*"))  # nothing half-made


def test_replaced_bytes_and_damaged_archives(tmp_path):
    data = TextFiles(written(tmp_path / "a.txt", b"abc " * 50 + b"\xff"), errors="replace", length=8)
    last = data.documents["test"].document(0)
    assert data.kind.texts(last[None])[0].endswith("\ufffd")
    folder = folder_of(tmp_path / "texts", TEXTS)
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    content = bytearray((tmp_path / "t.zip").read_bytes())
    at = content.index(b"document 7")
    content[at] ^= 1
    with pytest.raises(DataError, match=r"007.txt: damaged or encrypted"):
        TextFiles(written(tmp_path / "t.zip", bytes(content)))


def test_fasta_needs_a_header(tmp_path):
    with pytest.raises(DataError, match="line 1: no FASTA"):
        Fasta(written(tmp_path / "a.fa", "ACGT\n>x\nACGT\n"))

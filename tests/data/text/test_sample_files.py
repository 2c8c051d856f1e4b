"""Samples of text in files: what genkit writes comes back, what others write is read, what is none is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from genkit.data.samples import read_samples, write_samples
from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.data.text.samples import JSONL, TXT, written_text
from genkit.data.text.tokenizer import Bytes, Characters
from genkit.errors import DataError

KIND = Text(tokenizer=Bytes())
SPEC = DataSpec((24,), "sequence", kind=KIND)
TEXTS = ["", "one line", "two\nlines\n", "--- 7\nis no header", "tab\there, ü 漢", "longer than an example is", "\n"]


@pytest.mark.parametrize("name", [TXT, JSONL])
def test_what_genkit_writes_comes_back(name, tmp_path):
    x = KIND.examples([text.encode() for text in TEXTS], 24)
    with written_text(tmp_path, SPEC) as append:
        append(x[:3])
        append(x[3:])
    write_samples(tmp_path / "samples.npz", SPEC, x)
    assert torch.equal(read_samples(tmp_path / name, SPEC).x, x)
    assert torch.equal(read_samples(tmp_path / "samples.npz", SPEC).x, x)


def test_what_other_programs_write(tmp_path, capsys):
    plain = tmp_path / "plain.txt"
    plain.write_bytes("\ufeffone\r\n\n  two \nthree".encode())
    assert KIND.texts(read_samples(plain, SPEC).x) == ["one", "  two ", "three"]
    lines = tmp_path / "lines.jsonl"
    nodes = [{"text": "one", "model": "other"}, {"text": "x" * 30}, {"text": "goes on", "ended": False}]
    lines.write_text("\n".join(map(json.dumps, nodes)) + "\n")
    x = read_samples(lines, SPEC).x
    assert KIND.texts(x) == ["one", "x" * 24, "goes on"]
    assert KIND.ended(x).tolist() == [True, False, False]
    assert "1 of 3 samples cut after the 24 tokens of an example" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty: there are no samples"),
        ("a.txt", b"\n \n", "empty: there are no samples"),
        ("a.jsonl", b"\n", "empty: there are no samples"),
        ("a.txt", b"abc\xff", "not UTF-8 at byte 3"),
        ("a.jsonl", b'{"text": 3}', 'line 1: no JSON object with a "text"'),
        ("a.jsonl", b'{"text": "a"}\nnot json', 'line 2: no JSON object with a "text"'),
        ("a.jsonl", b"[" * 10**5, 'line 1: no JSON object with a "text"'),
        ("a.jsonl", b'{"text": "a", "ended": 1}', 'line 1: "ended" is neither'),
        ("a.jsonl", b'{"text": "\\ud800"}', "sample 1: half of a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(name, data, reason, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=reason) as caught:
        read_samples(tmp_path / name, SPEC)
    assert "\n" not in str(caught.value)


def test_a_character_outside_of_the_alphabet_is_named_with_its_sample(tmp_path):
    (tmp_path / "a.txt").write_text("CCO\nCCX\n")
    spec = DataSpec((8,), "sequence", kind=Text(tokenizer=Characters("CNO")))
    with pytest.raises(DataError, match=r"sample 2: the character 'X' is none of the 3"):
        read_samples(tmp_path / "a.txt", spec)


def test_text_is_no_sample_of_other_data(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    for spec in (None, DataSpec((2,), "vector")):
        with pytest.raises(DataError, match="say which with data=text"):
            read_samples(tmp_path / "a.txt", spec)


@pytest.mark.parametrize("token", [-1, KIND.count])
def test_a_token_out_of_range_is_refused(token, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.full((2, 24), token))
    with pytest.raises(DataError, match=rf"a value of {token}; store integers v in 0 … {KIND.count - 1}"):
        read_samples(tmp_path / "a.npz", SPEC)

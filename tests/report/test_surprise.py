"""Text coloured by its costs: nothing of it is markup, every token stands once, the page needs nothing else."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import torch

from genkit.data.text.byte_pairs import BytePairs
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes
from genkit.evaluation.token_scores import Excerpt
from genkit.report.surprise import EDGES, ENDED, level, page, runs

KIND = Text(tokenizer=Bytes())
NASTY = '<script>alert(1)</script> & "q" \x1b[31m \u202e\n\tü漢🙂'


def excerpt(data: bytes, kind: Text = KIND) -> Excerpt:
    tokens = torch.tensor([*kind.tokenizer.encode(data).tolist(), kind.eos])
    return Excerpt(0, tokens, torch.arange(1.0, len(tokens) + 1, dtype=torch.float64))


class Balance(HTMLParser):
    """The tags that are open, what was closed out of order, and what would be loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.loads, self.tags = [], 0, [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.wrong += not self.open or self.open.pop() != tag


def test_text_is_no_markup_and_the_page_loads_nothing():
    html = page([excerpt(NASTY.encode())], KIND, "a <model> on \x1b data", "a note & more")
    parser = Balance()
    parser.feed(html)
    assert (parser.open, parser.wrong, parser.loads) == ([], 0, [])
    assert "script" not in parser.tags
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "url(" not in html
    assert "://" not in html
    assert "prefers-color-scheme: dark" in html
    assert "bits of a token, −log₂ P" in html
    body = re.search(r"<pre>(.*)</pre>", html, re.DOTALL)[1]
    text = unescape(re.sub(r"<[^>]*>", "", body)).replace("↵", "")
    assert text == NASTY.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") + ENDED


def test_runs_are_text_and_every_token_is_paid_for_once():
    for kind in (KIND, Text(tokenizer=BytePairs(((0xC3, 0xBC), (97, 256))))):
        found = excerpt("aü漢🙂b".encode(), kind)
        parts = [*runs(found, kind)]
        assert "".join(text for text, _, _ in parts) == "aü漢🙂b" + ENDED
        assert sum(bits for _, bits, _ in parts) == float(found.bits.sum())
        assert [ended for *_, ended in parts][-1:] == [True]
    broken = excerpt(b"a\xffb\xe6\xbc")
    assert "".join(text for text, *_ in runs(broken, KIND)) == "a\ufffdb\ufffd" + ENDED


def test_colours_follow_the_bits():
    assert [level(bits) for bits in (0.0, *EDGES, 1e9)] == [0, *range(1, len(EDGES) + 1), len(EDGES)]

"""Whatever text a page is given, it holds one script, its own, and no element, attribute or character of that text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from genkit.diagnosis.fault import Fault
from genkit.report.html import html_page
from genkit.report.page.comparison_page import ComparisonPage, RunColumn, comparison_page, page_of_scores
from genkit.report.page.frames import FilmFrame
from genkit.report.page.run_page import HistoryEntry, RunPage, run_page
from genkit.report.rows import ScoreRow

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>1</script>",
    "</title><svg/onload=1>",
    "<!--",
    "]]>",
    "&lt;&#60;script>",
    "a\x1b[31mb\x00\x07\u202ec\u2028",
    "javascript:alert(1)",
    "\ud800",
]
POINTS = [(0.0, 1.0), (1.0, 2.0)]


def row(text: str) -> ScoreRow:
    return ScoreRow("fid", text, text, Path(text), "min", 1.0, (0.5, 1.5), reference=text, floor=(0.1, 0.01))


def of_run(text: str) -> str:
    return run_page(
        RunPage(
            title=text,
            folder=text,
            tiles={text: text},
            findings=[Fault(text, text, "sure", text, (text,))],
            samples=[FilmFrame(text, b"1"), FilmFrame(text, b"2")],
            real=[FilmFrame(text, b"4")],
            pairs=[FilmFrame(text, b"3")],
            series={f"train/{text}": POINTS, f"val/{text}/{text}": POINTS, text: POINTS, f"lr/{text}": POINTS},
            scores={text: [row(text)]},
            notes=[text],
            costs={text: text},
            environment={text: text},
            parts=[(text, text)],
            differences=[(text, text, text)],
            history=[HistoryEntry(7, text, text, [(text, text, text)])] * 2,
            next=[(text, text)],
        )
    )


def of_runs(text: str) -> str:
    run = RunColumn(text, text, {text: text}, {f"val/{text}": POINTS}, FilmFrame(text, b"1"))
    return comparison_page(
        ComparisonPage(
            title=text,
            folder=text,
            tiles={text: text},
            runs=[run, run],
            pictures=[FilmFrame(text, b"2")],
            scores={text: [row(text)]},
            differences=[(text, [text, text])],
            notes=[text],
            commands=[(text, text)],
        )
    )


def of_scores(text: str) -> str:
    return page_of_scores({text: [row(text)]})


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attributes)))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment",))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("page", [of_run, of_runs, of_scores])
def test_text_changes_no_tag(page) -> None:
    expected = Skeleton(page("plain")).tags
    assert [tag[0] for tag in expected].count("script") == 1
    assert not [name for tag in expected for name in tag[1:] if name.startswith("on")]
    for text in HOSTILE:
        made = page(text)
        assert Skeleton(made).tags == expected, text
        assert made.encode("utf-8")
        assert all(character.isprintable() or character == "\n" for character in made), text
        addresses = re.findall(r'(?:src|href)="([^"]*)"', made)
        assert all(address.startswith("data:image/") or address.startswith(("./", "../")) for address in addresses)


def test_text_is_shown_as_it_is() -> None:
    for text in HOSTILE[:4]:
        assert text in "".join(Skeleton(of_run(text)).words)


def test_a_page_reaches_no_network() -> None:
    page = of_run("plain")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    assert "script-src 'unsafe-inline'" in html_page("explored", ["<script>1</script>"])

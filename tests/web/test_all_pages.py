"""Every kind of page that genkit writes: no complaint, light and dark, narrow and wide, and legible when printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from chromium import Browser
from PIL import Image
from test_judge_page import study_in

from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes
from genkit.evaluation.token_scores import Excerpt
from genkit.judging.page import offline_page
from genkit.judging.plan import plan
from genkit.report.html import picture_source
from genkit.report.moving_rows import moving, save_page, still
from genkit.report.page.comparison_page import ComparisonPage, RunColumn, comparison_page, page_of_scores
from genkit.report.page.frames import FilmFrame
from genkit.report.page.run_page import RunPage, run_page
from genkit.report.playground_page import playground_page
from genkit.report.rows import ScoreRow
from genkit.report.surprise import save_surprise

NAME = "a model of a very long name that nobody would choose on purpose " * 2
POINTS = [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]
SCORES = {
    "fid[digits]": [
        ScoreRow("fid", "fid[digits]", name, Path("a"), "min", 1.0, (0.5, 1.5), reference="digits", floor=(0.1, 0.01))
        for name in ("vae", NAME)
    ]
}


def png(folder: Path) -> bytes:
    Image.new("RGB", (700, 200), (200, 0, 0)).save(folder / "one.png")
    return (folder / "one.png").read_bytes()


def report(path: Path) -> None:
    frames = [FilmFrame("step 1", png(path.parent)), FilmFrame("step 2", png(path.parent))]
    page = RunPage(NAME, "/runs/vae", {"status": "done"}, samples=frames, series={"train/loss": POINTS}, scores=SCORES)
    path.write_text(run_page(page))


def several(path: Path) -> None:
    runs = [RunColumn(NAME, "a.html", {"status": "done"}, {"val/loss": POINTS}), RunColumn("b", "", {}, {})]
    path.write_text(comparison_page(ComparisonPage("sweep", "/sweep", runs=runs, differences=[("seed", ("1", "2"))])))


def compare(path: Path) -> None:
    path.write_text(page_of_scores(SCORES))


def explore(path: Path) -> None:
    sheets = [Image.new("L", (500, 300), shade) for shade in (0, 99)]
    figures = still(png(path.parent), "rows") + moving(sheets, "moments")
    save_page(path, NAME, [("traversal", "one latent moved", figures)])


def surprise(path: Path) -> None:
    kind = Text(tokenizer=Bytes())
    tokens = torch.tensor([*kind.tokenizer.encode(b"a text " * 60).tolist(), kind.eos])
    save_surprise(path, [Excerpt(0, tokens, torch.linspace(0, 14, len(tokens)))], kind, NAME, "how it was scored")


def playground(path: Path) -> None:
    source = picture_source(png(path.parent))
    frames = [{"source": source, "step": step, "caption": NAME} for step in (0, 1)]
    path.write_text(playground_page(NAME, frames, "bridges between modes"))


def judge(path: Path) -> None:
    study, design, pictures = study_in(path.parent, "2afc")
    path.write_text(offline_page(study, {"1": plan(design, "1")}, pictures))


PAGES: dict[str, Callable[[Path], None]] = {
    each.__name__: each for each in (report, several, compare, explore, surprise, playground, judge)
}
LEGIBLE = """(() => {
  const luminance = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 765;
  const of = (element, what) => luminance(getComputedStyle(element)[what]);
  const dark = [...document.querySelectorAll("h1, h2, p, td, th, b, pre, summary, figcaption, svg text")]
    .filter(element => element.getClientRects().length)
    .filter(element => of(element, element.tagName === "text" ? "fill" : "color") > 0.62);
  return [of(document.body, "backgroundColor"), dark.map(element => element.tagName + ": " + element.textContent)];
})()"""
MOVED = "[...document.querySelectorAll('input, button, select')].filter(e => e.getClientRects().length).length"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_on_any_screen_and_on_paper(name: str, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    PAGES[name](path)
    page = browser.page(path.as_uri(), 360, 900, "light")
    papers = set()
    for width in (360, 1400):
        for scheme in ("light", "dark"):
            page.look(width, 900, scheme)
            assert not page.overflows, (width, scheme)
            papers.add(page.run("getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 2
    page.look(794, 1100, "dark", "print")  # as somebody prints whose screen is dark
    paper, pale = page.run(LEGIBLE)
    assert paper == 1
    assert pale == []
    assert page.run(MOVED) == 0
    assert not page.overflows
    assert page.problems == []

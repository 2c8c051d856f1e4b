"""`genkit report`, and the pages that training, sweeps and `compare` write by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import Browser, Page
from command_cases import arguments, done, genkit, refused
from test_compare import SMALL

DRAWN = ("trainer.max_steps=4", "trainer.log_every_n_steps=1", "trainer.val_every_n_steps=2", "samples.every_n_steps=2")


def test_the_page_of_a_run_a_checkpoint_and_several(vae: Path, gan: Path, work: Path) -> None:
    assert (vae / "report.html").is_file()
    assert "vae on digits" in (vae / "report.html").read_text()
    assert done("report", f"{vae}/checkpoints/step-4", "out=a/vae.html") == "report: a/vae.html\n"
    assert "--- " not in Path("a/vae.html").read_text()
    done("eval", f"ckpt={vae}", "metric=[fid,mse]", "out=scores", *SMALL)
    done("report", str(vae), "scores=scores", "out=b.html")
    assert "fid[digits]" in Path("b.html").read_text()
    said = done("report", str(vae), str(gan))
    page = Path(said.removeprefix("report: ").strip())
    assert page.parent.parent == work / "outputs" / "report"
    assert "gan on digits" in page.read_text()
    done("report", str(vae.parent), "out=all.html")
    assert page.read_text().count("<h2>") <= Path("all.html").read_text().count("<h2>")


def test_scores_in_the_usual_place_are_found(work: Path) -> None:
    done(*arguments("vae", "trainer.max_steps=4"))
    (run,) = Path("outputs/train").iterdir()
    done("eval", "metric=mse", *SMALL)
    assert done("report") == f"report: {run}/report.html\n"
    assert "mse" in (run / "report.html").read_text()


def test_what_cannot_be_reported_is_one_line(vae: Path, work: Path) -> None:
    assert "did you mean out" in refused(2, "report", str(vae), "outs=x.html")
    assert "out=page: a page is a file" in refused(2, "report", str(vae), "out=page")
    assert "nowhere" in refused(2, "report", str(vae), "scores=nowhere")
    assert "nowhere" in refused(4, "report", "nowhere")
    assert "no finished run" in refused(2, "report")
    assert "usage: genkit report" in genkit("report", "--help").out
    assert not list(work.iterdir())


def test_a_sweep_has_its_page(work: Path) -> None:
    said = done(*arguments("vae", "-m", "seed=0,1", "trainer.max_steps=2", "run_dir=sweep"))
    assert "report: sweep/report.html\n" in said
    page = (work / "sweep" / "report.html").read_text()
    for name in ("0-seed=0", "1-seed=1"):
        assert f'<a href="./{name.replace("=", "%3D")}/report.html">{name}</a>' in page


@pytest.mark.slow
def test_in_a_browser(work: Path, browser: Browser) -> None:
    """No complaint on the console, a slider that moves the picture, nothing wider than the screen, light and dark."""
    done(*[word for word in arguments("vae", *DRAWN, "run_dir=run") if word != "samples.every_n_steps=0"])
    assert (work / "run" / "real.png").is_file()
    address = (work / "run" / "report.html").as_uri()
    for width in (360, 1400):
        papers = set()
        for scheme in ("light", "dark"):
            page = browser.page(address, width, 900, scheme)
            papers.add(page.run("getComputedStyle(document.body).backgroundColor"))
            assert not page.overflows
            assert page.run("[...document.images].every(image => image.naturalWidth > 0)")
        assert len(papers) == 2
        assert shown_frame(page) == "step 4"
        page.run("(s => { s.value = 0; s.dispatchEvent(new Event('input')) })(document.querySelector('.film input'))")
        assert shown_frame(page) == "step 2"
        page.run("document.querySelector('.film button').click()")
        page.until(f"{SHOWN} === 'step 4'")
        page.run(
            "(p => p.dispatchEvent(new PointerEvent('pointermove', {clientX: p.getBoundingClientRect().right})))"
            "(document.querySelector('svg.plot'))"
        )
        assert page.run("document.querySelector('.chart output').textContent").startswith("step 4: training ")
        page.look(width, 900, "light", "print")
        assert page.run("getComputedStyle(document.querySelector('.moves')).display") == "none"
        assert page.problems == []


SHOWN = "[...document.querySelector('.film').querySelectorAll('img:not([hidden])')].map(i => i.dataset.name).join()"


def shown_frame(page: Page) -> str:
    """The names of the frames that can be seen, which is one."""
    name: str = page.run(SHOWN)
    return name

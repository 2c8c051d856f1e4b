"""The page of `genkit judge` in a browser: votes on the disk, keys and taps, light and dark, narrow and wide."""

import base64
import random

import pytest
import torch

from genkit.data.spec import DataSpec
from genkit.judging.answers import AnswerFile, read_answers
from genkit.judging.page import offline_page
from genkit.judging.pictures import noise, png_of
from genkit.judging.plan import Design, plan
from genkit.judging.routes import JudgeRoutes
from genkit.judging.study import Key, Study, mark_of, write_study
from genkit.noise import generator_of
from genkit.web.server import LocalServer

N = 6


def study_in(folder, task, **more):
    """A study of images of noise, 8 by 8."""
    numbers = list(range(2 * N + 1))
    random.Random(0).shuffle(numbers)
    sources = {"real": numbers[:N], "vae": numbers[N : 2 * N]}
    design = Design(task, 0, 8, 0.25, 0.1, "real", sources, numbers[2 * N :])
    key = Key(design, {"name": "digits", "split": "test", "n": 9, "hash": "0"}, {"real": {}, "vae": {}}, "salt")
    facts = {"title": "digits: <real> or fake?", "question": "Which & what?", "ties": False} | more
    study = Study(task=task, width=8, height=8, images=2 * N + 1, mark=mark_of(key.text()), **facts)
    spec = DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17)
    pictures = png_of(noise(spec, 2 * N + 1, generator_of(0)), spec)
    write_study(folder, study, key, dict(enumerate(pictures)))
    return study, design, pictures


@pytest.fixture
def served(tmp_path):
    study, design, _ = study_in(tmp_path, "2afc", ties=True)
    answers, finished = AnswerFile(tmp_path / "answers.csv", study.mark), []
    routes = JudgeRoutes(tmp_path, study, design, answers, finished.append).routes()
    with LocalServer(routes) as server:
        server.design, server.file, server.finished = design, answers.path, finished
        yield server


def begun(page, rater):
    page.run(f"document.querySelector('#rater').value = '{rater}'")
    page.tap("#begin")
    page.until("!document.querySelector('#trial').hidden")
    page.until("[...document.querySelectorAll('#images img')].every(i => i.complete && i.naturalWidth == 8)")


def count(page, n):
    page.until(f"document.querySelector('#count').textContent.startsWith('{n} of')")


def test_votes_lie_on_the_disk(browser, served):
    page = browser.page(served.address)
    begun(page, "ann")
    trials = plan(served.design, "ann")
    page.press("ArrowLeft")
    count(page, 1)
    page.tap("#images img:nth-child(2)")
    count(page, 2)
    page.tap("button[data-answer=tie]")
    count(page, 3)
    page.press("Backspace")
    count(page, 2)
    page.press("2")
    count(page, 3)
    said = [(a.rater, a.trial, a.left, a.right, a.answer) for a in read_answers(served.file)]
    expected = [(0, "left"), (1, "right"), (2, "tie"), (2, "right")]
    assert said == [("ann", i, trials[i].left, trials[i].right, answer) for i, answer in expected]
    assert page.problems == []


def test_a_rater_goes_on_where_they_stopped_until_the_end(browser, served):
    page = browser.page(served.address)
    begun(page, "bob")
    page.press("1")
    count(page, 1)
    again = browser.page(served.address)
    begun(again, "bob")
    count(again, 1)
    for n in range(1, len(plan(served.design, "bob"))):
        count(again, n)
        again.press("ArrowRight")
    again.until("!document.querySelector('#end').hidden")
    assert served.finished == ["bob"]
    assert len(read_answers(served.file)) == len(plan(served.design, "bob"))
    assert again.problems == []


def test_what_was_not_saved_is_said(browser, tmp_path):
    study, design, _ = study_in(tmp_path, "real_or_fake")
    answers = AnswerFile(tmp_path / "answers.csv", study.mark)
    with LocalServer(JudgeRoutes(tmp_path, study, design, answers, print).routes()) as server:
        page = browser.page(server.address)
        begun(page, "ann")
    page.press("f")
    page.until("!document.querySelector('#problem').hidden")
    assert page.run("document.querySelector('#problem').textContent").startswith("Not saved")
    assert page.run("document.querySelector('#count').textContent").startswith("0 of")
    assert read_answers(answers.path) == []


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_wide_light_and_dark(browser, served, width, scheme):
    page = browser.page(served.address, width, 740, scheme)
    assert not page.overflows
    begun(page, "ann")
    assert not page.overflows
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) < 200) == (scheme == "dark")
    sizes = page.run("[...document.querySelectorAll('#images img')].map(i => [i.width, i.height])")
    assert sizes[0] == sizes[1]
    assert sizes[0][0] == sizes[0][1]
    assert sizes[0][0] % 8 == 0  # each pixel is enlarged alike
    assert page.run("[...document.querySelectorAll('#choices button')].every(b => b.offsetHeight >= 44)")
    assert page.problems == []


def test_one_file_without_a_server(browser, tmp_path):
    study, design, pictures = study_in(tmp_path, "real_or_fake")
    plans = {name: plan(design, name) for name in ("1", "2")}
    (tmp_path / "judge.html").write_text(offline_page(study, plans, pictures))
    page = browser.page((tmp_path / "judge.html").as_uri())
    begun(page, "2")
    for n, answer in enumerate(["f", "r", "ArrowLeft"], 1):
        page.press(answer)
        count(page, n)
    text = "URL.createObjectURL = blob => { window.saved = blob; return '#'; }; document.querySelector('#save')"
    page.run(f"{text}.click()")
    (tmp_path / "answers-2.csv").write_text(page.run("window.saved.text()"))
    said = [(a.study, a.rater, a.trial, a.left, a.answer) for a in read_answers(tmp_path / "answers-2.csv")]
    answered = zip(plans["2"], ["fake", "real", "fake"], strict=False)
    assert said == [(study.mark, "2", i, trial.left, word) for i, (trial, word) in enumerate(answered)]
    assert page.problems == []


def test_the_page_holds_no_key(tmp_path):
    """Neither the names of sources, nor what follows from a seed, nor bytes that differ with the source."""
    study, design, pictures = study_in(tmp_path, "real_or_fake")
    page = offline_page(study, {"1": plan(design, "1")}, pictures)
    assert "vae" not in page
    assert "salt" not in page
    assert '"check"' not in page
    for i, png in enumerate(pictures):
        assert (tmp_path / "images" / f"{i}.png").read_bytes() == png
        assert base64.b64encode(png).decode() in page
        kinds = [png[at + 4 : at + 8] for at in chunks(png)]
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def chunks(png):
    at = 8
    while at < len(png):
        yield at
        at += 12 + int.from_bytes(png[at : at + 4], "big")


def test_real_and_fake_pass_through_the_same_function():
    """Equal stored values give equal bytes."""
    spec = DataSpec((3, 5, 4), "image", (-1.0, 1.0), 256)
    v = torch.randint(256, (2, 3, 5, 4), dtype=torch.uint8, generator=generator_of(0))
    assert png_of(v, spec) == png_of(v.clone(), spec)

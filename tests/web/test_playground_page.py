"""The page of the playground in a browser: the slider moves, the button plays, it follows a training."""

import json

import pytest
from PIL import Image

from genkit.commands.play import routes
from genkit.report.playground_page import FRAMES, save_playground
from genkit.web.server import LocalServer


def frames_in(folder, n):
    found = []
    for i in range(n):
        Image.new("RGB", (160, 90), (20 * i, 0, 0)).save(folder / f"frame-{i}.png")
        found.append({"step": 10**i, "file": f"frame-{i}.png", "caption": f"KL <{i}>"})
    return found


def caption(page):
    return page.run("document.querySelector('#caption').textContent")


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (360, "dark"),
        *(pytest.param(*other, marks=pytest.mark.slow) for other in ((360, "light"), (1400, "light"), (1400, "dark"))),
    ],
)
def test_the_slider_moves(browser, tmp_path, width, scheme):
    save_playground(tmp_path, "flow on <toy>", frames_in(tmp_path, 4), "neither & nor")
    page = browser.page((tmp_path / "playground.html").as_uri(), width, 800, scheme)
    assert caption(page) == "step 1: KL <0>"
    page.run("document.querySelector('#step').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", windowsVirtualKeyCode=39)
    page.until("document.querySelector('#step').value === '1'")
    assert caption(page) == "step 10: KL <1>"
    sources = page.run(
        "[document.querySelector('#frame').src.slice(0, 22), document.querySelector('#frame').naturalWidth]"
    )
    assert sources == ["data:image/png;base64,", 160]
    page.tap("#play")
    page.until("document.querySelector('#step').value === '3'")
    page.until("document.querySelector('#play').textContent === 'Play'")
    assert page.run("document.querySelector('#verdict').textContent") == "neither & nor"
    assert not page.overflows
    assert page.problems == []


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_parts_of_a_frame_are_shown_apart_with_the_distance_below(browser, tmp_path, width, scheme):
    frames = frames_in(tmp_path, 3)
    for i, frame in enumerate(frames):
        words = ("truth", f"model {i}", "samples <3>")
        parts = [{"words": said, "box": [0.3 * i, 0.2, 0.25, 0.4]} for i, said in enumerate(words)]
        frame |= {"panels": parts, "kl": 0.5**i, "kl_se": 0.01, **({} if i else {"reverse_kl": 2.0})}
    save_playground(tmp_path, "flow on toy", frames, "")
    page = browser.page((tmp_path / "playground.html").as_uri(), width, 800, scheme)
    assert page.run("[...document.querySelectorAll('#panels span')].map(part => part.textContent)") == [
        "truth", "model 0", "samples <3>"]  # fmt: skip
    sizes = page.run("[...document.querySelectorAll('#panels div div')].map(part => part.clientWidth)")
    assert min(sizes) > 120  # on a phone too
    assert page.run("getComputedStyle(document.querySelector('#frame')).display") == "none"
    assert page.run("document.querySelectorAll('#distance circle').length") == 3
    at = "+document.querySelector('#distance line.now').getAttribute('x1')"
    before = page.run(at)
    page.run("document.querySelector('#step').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", windowsVirtualKeyCode=39)
    page.until("document.querySelectorAll('#panels span')[1].textContent === 'model 1'")
    assert page.run(at) > before
    assert not page.overflows
    assert page.problems == []


def test_it_follows_a_training(browser, tmp_path):
    frames = frames_in(tmp_path, 3)

    def written(n, verdict=""):
        (tmp_path / FRAMES).write_text(json.dumps({"frames": frames[:n], "verdict": verdict}))

    with LocalServer(routes(tmp_path), tmp_path) as server:
        page = browser.page(server.address)
        page.until("document.querySelector('#verdict').textContent === 'training …'")
        written(2)
        page.until("document.querySelector('#caption').textContent === 'step 10: KL <1>'")
        written(3, "done")
        page.until("document.querySelector('#verdict').textContent === 'done'")
        assert caption(page) == "step 100: KL <2>"
        page.until("document.querySelector('#frame').naturalWidth === 160")
        assert page.problems == []

"""The page on which people judge images: from the local server, or one file that holds everything.

One script serves both. From the server it asks for a rater's trials and sends each answer, and goes on when that is on
the disk. In a file, images and the trials of some raters stand in the page, answers are kept by the browser and saved
as a CSV at the end. Either way a page that is opened again goes on where the rater stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from math import sqrt
from typing import Any

from genkit.judging.answers import COLUMNS
from genkit.judging.plan import Trial
from genkit.judging.study import Study
from genkit.report.html import html_page, picture_source

OFFLINE = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
NO_ICON = '<link rel="icon" href="data:,">'  # else a browser asks the server for one
CHOICES = {  # answer -> its button, and the keys that stand for it
    "fake": ("← fake", ("ArrowLeft", "f")),
    "real": ("real →", ("ArrowRight", "r")),
    "left": ("← left", ("ArrowLeft", "1")),
    "tie": ("no difference", ("ArrowDown", "0")),
    "right": ("right →", ("ArrowRight", "2")),
}
STYLE = """
body { max-width: 46rem; }
#images { display: flex; justify-content: center; gap: 1rem; margin: 1rem 0; }
#images img { image-rendering: pixelated; border: 2px solid var(--faint); border-radius: 4px; }
#images.pair img { cursor: pointer; }
#choices { display: flex; justify-content: center; gap: .75rem; }
button, select, input { font: inherit; color: inherit; background: transparent; border: 1px solid var(--faint);
  border-radius: 8px; padding: .6rem 1.1rem; min-height: 44px; }
button { cursor: pointer; touch-action: manipulation; } button:hover { border-color: var(--ink); }
button:disabled { opacity: .4; cursor: default; }
#choices button { flex: 1 1 4rem; max-width: 14rem; padding: .6rem .3rem; }
#row { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
progress { width: 100%; height: .5rem; } #problem { color: rgb(var(--hot)); } h2 { text-align: center; }
[hidden] { display: none !important; }
"""
SCRIPT = """
"use strict";
const S = JSON.parse(document.getElementById("study").textContent);
const at = id => document.getElementById(id), keep = "genkit-judge-" + S.mark;
let rater = "", trials = [], answers = {}, order = [], shownAt = 0, busy = false;

const source = i => S.pictures ? S.pictures[i] : "images/" + i + ".png";
function fail(text) { at("problem").textContent = text; at("problem").hidden = !text; }
async function ask(path, body) {
  const reply = await fetch(path, body ? { method: "POST", body: JSON.stringify(body) } : undefined);
  if (!reply.ok) throw new Error((await reply.text()).trim());
  return reply.json();
}
function kept() { try { return JSON.parse(localStorage.getItem(keep + rater)) || {}; } catch { return {}; } }
async function begin() {
  rater = at("rater").value.trim();
  if (!rater) return fail("Please give a name.");
  try {
    const found = S.plans ? { trials: S.plans[rater], answers: kept() }
                          : await ask("plan?rater=" + encodeURIComponent(rater));
    trials = found.trials; answers = found.answers; order = Object.keys(answers).map(Number).sort((a, b) => a - b);
  } catch (error) { return fail(error.message); }
  fail(""); at("start").hidden = true; show();
}
function next() { return trials.findIndex((_, i) => !(i in answers)); }
function show() {
  const i = next(), done = Object.keys(answers).length;
  at("end").hidden = i >= 0; at("trial").hidden = i < 0;
  at("done").value = done; at("done").max = trials.length;
  at("count").textContent = done + " of " + trials.length; at("back").disabled = !order.length;
  if (i < 0) return;
  at("images").replaceChildren(...trials[i].map((number, side) => {
    const image = new Image();
    image.alt = trials[i].length > 1 ? ["left", "right"][side] + " image" : "image to judge";
    image.src = source(number);
    if (trials[i].length > 1) image.addEventListener("click", () => choose(["left", "right"][side]));
    return image;
  }));
  at("images").className = trials[i].length > 1 ? "pair" : "";
  size(); shownAt = performance.now();
  const after = trials.findIndex((_, j) => j > i && !(j in answers));
  if (after >= 0) trials[after].forEach(number => { new Image().src = source(number); });
}
function size() {
  const images = at("images").children, room = Math.min(document.body.clientWidth - 32, 700);
  const most = Math.min((room - 24 * images.length) / images.length, 320, innerHeight * .55 * S.width / S.height);
  const scale = most / S.width >= 1 ? Math.min(16, Math.floor(most / S.width)) : Math.max(most / S.width, .05);
  for (const image of images) { image.width = S.width * scale; image.height = S.height * scale; }
}
async function choose(answer) {
  const i = next();
  if (busy || at("trial").hidden || i < 0 || !S.answers.includes(answer)) return;
  busy = true;
  const said = { rater, trial: i, answer, seconds: (performance.now() - shownAt) / 1000 };
  try {
    if (S.plans) {
      answers[i] = [answer, said.seconds];
      try { localStorage.setItem(keep + rater, JSON.stringify(answers)); } catch { /* kept until the page closes */ }
    } else { await ask("answer", said); answers[i] = answer; }
    order.push(i); fail(""); show();
  } catch (error) { fail("Not saved: " + error.message + ". Please try again."); }
  busy = false;
}
function back() { if (order.length && !busy) { delete answers[order.pop()]; show(); } }
function save() {
  const rows = Object.entries(answers).map(([i, [answer, seconds]]) =>
    [S.mark, rater, i, trials[i][0], trials[i].length > 1 ? trials[i][1] : "", answer, seconds.toFixed(3)].join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([[S.columns, ...rows, ""].join("\\n")], { type: "text/csv" }));
  link.download = "answers-" + rater + ".csv"; link.click();
}
at("begin").addEventListener("click", begin); at("back").addEventListener("click", back);
if (at("save")) at("save").addEventListener("click", save);
for (const button of document.querySelectorAll("#choices button"))
  button.addEventListener("click", () => choose(button.dataset.answer));
addEventListener("resize", size);
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!at("start").hidden) { if (event.key === "Enter" && event.target.id !== "begin") begin(); return; }
  if (event.key === "Backspace") { event.preventDefault(); back(); return; }
  const answer = S.answers.find(one => S.keys[one].includes(event.key));
  if (answer) { event.preventDefault(); choose(answer); }
});
"""


def served_page(study: Study, trials: int) -> str:
    """The page of the local server; raters type a name and are shown `trials` images or pairs."""
    who = '<input id="rater" maxlength="40" autocomplete="off" placeholder="your name or initials" autofocus>'
    return _page(study, trials, who, {})


def offline_page(study: Study, plans: Mapping[str, Sequence[Trial]], pictures: Sequence[bytes]) -> str:
    """The page as one file.

    Args:
        study: Of the images.
        plans: Rater -> trials.
        pictures: PNG of each number.
    """
    options = "".join(f'<option value="{escape(name)}">rater {escape(name)}</option>' for name in plans)
    who = f'<select id="rater" aria-label="which rater you are">{options}</select>'
    numbers = {name: [_numbers(trial) for trial in trials] for name, trials in plans.items()}
    more = {"plans": numbers, "pictures": [picture_source(png) for png in pictures], "columns": ",".join(COLUMNS)}
    return _page(study, max(map(len, numbers.values())), who, more)


def _numbers(trial: Trial) -> list[int]:
    return [trial.left] if trial.right is None else [trial.left, trial.right]


def _page(study: Study, trials: int, who: str, more: Mapping[str, Any]) -> str:
    offline = bool(more)
    keys = {answer: CHOICES[answer][1] for answer in study.answers}
    facts = {**asdict(study), "answers": study.answers, "keys": keys, **more}
    data = json.dumps(facts, allow_nan=False).replace("<", "\\u003c")  # no text ends the script
    order = [answer for answer in CHOICES if answer in study.answers]
    buttons = "".join(f'<button data-answer="{answer}">{CHOICES[answer][0]}</button>' for answer in order)
    typed = ", ".join(f"{CHOICES[answer][1][1]} for {answer}" for answer in order)
    what = "images" if study.task == "real_or_fake" else "pairs of images"
    saved = (
        "<p>Save your answers and send the file to the person who asked you.</p><button id=save>Save answers</button>"
    )
    policy = f'<meta http-equiv="Content-Security-Policy" content="{OFFLINE}">' if offline else ""
    body = [
        f"<section id=start><p>{trials} {what}, one after the other, as long as you like for each. {_advice(study)}"
        f" The arrow keys answer too, or {typed}; Backspace takes an answer back."
        f" You can stop and go on later.</p><p>{who} <button id=begin>Begin</button></p>"
        f"<p>With the answers of one person a share is known to about ±{98 / sqrt(trials):.0f} %.</p></section>",
        f"<section id=trial hidden><h2>{escape(study.question)}</h2><div id=images></div>"
        f"<div id=choices>{buttons}</div>"
        '<p id=row><button id=back>Back</button><span id=count aria-live="polite"></span></p>'
        "<progress id=done></progress></section>",
        f"<section id=end hidden><h2>That was all. Thank you.</h2>{saved if offline else ''}</section>",
        '<p id=problem role="alert" hidden></p>',
        f'<script id=study type="application/json">{data}</script>',
        f"<script>{SCRIPT}</script>",
    ]
    return html_page(study.title, body, STYLE, f"{policy}{NO_ICON}")


def _advice(study: Study) -> str:
    if study.task == "real_or_fake":
        return "About half of them are real, the others were made by a computer."
    return "Choose the one that looks more like a real one; where you cannot tell, go by your feeling."

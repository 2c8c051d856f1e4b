"""Style and script of the playground's page.

The panels of a frame are shown as parts of its one picture, and the distance to the truth is drawn from the numbers,
so that words and lines have the size and the colours of the page. A frame of an earlier version, whose parts are not
known, is shown whole.
"""

from __future__ import annotations

STYLE = """
:root { --model: #1f5fbf; --reverse: #c2571a; --band: #00000018; --rule: #e4e4ea; }
@media (prefers-color-scheme: dark) {
  :root { --model: #7ab0ff; --reverse: #f08640; --band: #ffffff1c; --rule: #33333c; }
}
body { max-width: 74rem; } figure { margin: 0; } [hidden] { display: none !important; }
#frame { width: 100%; background: #fff; border-radius: 6px; display: block; }
#panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .5rem 1rem; }
#panels div div { aspect-ratio: 1; border-radius: 6px; background-color: #fff; box-shadow: 0 0 0 1px var(--rule); }
#panels span { display: block; font-size: .85rem; color: var(--faint); padding: .3rem 0 0; }
@media (max-width: 40rem) {
  #panels { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
  #panels > :last-child { grid-column: 1 / -1; }
}
#row { display: flex; align-items: center; gap: 1rem; margin: .75rem 0; position: sticky; bottom: 0;
  background: var(--paper); padding: .35rem 0; }
#row input { flex: 1; min-width: 0; accent-color: var(--model); }
button { font: inherit; color: inherit; background: transparent; border: 1px solid var(--faint); border-radius: 8px;
  padding: .5rem 1.1rem; min-height: 44px; min-width: 5.5rem; cursor: pointer; }
figcaption { min-height: 3em; } #verdict { color: var(--ink); font-weight: 600; }
#distance svg { width: 100%; height: auto; display: block; overflow: visible; }
#distance text { font: 12px system-ui, sans-serif; fill: var(--faint); }
#distance .rule { stroke: var(--rule); } #distance .now { stroke: var(--faint); stroke-dasharray: 3 3; }
#distance .noise { fill: var(--band); } #distance .kl { fill: none; stroke: var(--model); stroke-width: 2; }
#distance .back { fill: none; stroke: var(--reverse); stroke-width: 1.5; stroke-dasharray: 5 3; }
#distance .error { fill: var(--model); opacity: .22; } #distance .dot { fill: var(--model); }
#distance p { margin: .3rem 0 0; font-size: .85rem; }
#distance i { display: inline-block; width: 1.3rem; border-top: 2px solid; margin: 0 .35rem .2rem 0; }
#distance i.kl { color: var(--model); } #distance i.back { color: var(--reverse); border-top-style: dashed; }
#distance i.noise { border-top: .8rem solid var(--band); margin-bottom: -.1rem; }
#distance span { display: inline-block; margin-right: 1.2rem; white-space: nowrap; }
"""

SCRIPT = """
"use strict";
const at = id => document.getElementById(id), slider = at("step");
let data = JSON.parse(at("data").textContent), follows = data.live, timer = 0;
function show() {
  const frame = data.frames[slider.valueAsNumber];
  if (!frame) return;
  const source = frame.source || frame.file, parts = frame.panels || [];
  at("frame").src = source;
  at("frame").alt = "truth, model and samples: " + frame.caption;
  at("frame").hidden = parts.length > 0; at("panels").hidden = !parts.length;
  at("panels").replaceChildren(...parts.map(part => panel(part, source)));
  at("caption").textContent = "step " + frame.step.toLocaleString("en") + ": " + frame.caption;
  distance(frame);
}
function panel(part, source) {
  const [left, top, width, height] = part.box, all = document.createElement("div");
  const picture = document.createElement("div"), words = document.createElement("span");
  picture.setAttribute("role", "img"); picture.setAttribute("aria-label", part.words);
  picture.style.backgroundImage = `url("${source}")`;
  picture.style.backgroundSize = `${100 / width}% ${100 / height}%`;
  picture.style.backgroundPosition = `${100 * left / (1 - width)}% ${100 * top / (1 - height)}%`;
  words.textContent = part.words;
  all.append(picture, words);
  return all;
}
function drawn(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  return element;
}
function distance(now) {
  const key = now.kl === undefined ? "energy" : "kl", rows = data.frames.filter(row => row[key] !== undefined);
  at("distance").hidden = !now.panels || !rows.length;
  if (at("distance").hidden) return;
  const width = Math.max(320, Math.min(at("distance").clientWidth || 900, 1200)), height = 240;
  const last = rows[rows.length - 1], floor = last.floor === undefined ? 2 * (last.kl_se || 0) : last.floor;
  const lowest = last.floor === undefined ? 3e-4 : floor / 8, noise = Math.max(floor, 2 * lowest);
  const back = rows.filter(row => row.reverse_kl > 0), end = Math.max(2, last.step, data.last_step || 0);
  const highest = Math.max(10 * noise, ...rows.map(row => 2 * row[key]), ...back.map(row => 1.5 * row.reverse_kl));
  const box = {left: 56, right: width - 12, top: 8, bottom: height - 40};
  const tall = box.bottom - box.top, wide = box.right - box.left;
  const start = rows[0].step < 2 ? .5 : .8 * rows[0].step;  // the left end of the axis
  const x = step => box.left + wide * Math.log((step || .6) / start) / Math.log(1.2 * end / start);
  const y = v => box.bottom - tall * Math.log(Math.max(v, lowest) / lowest) / Math.log(highest / lowest);
  const svg = drawn("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "distance to the truth"});
  const rule = (x1, y1, x2, y2, name = "rule") => svg.append(drawn("line", {class: name, x1, y1, x2, y2}));
  const write = (x, y, anchor, text) => svg.append(drawn("text", {x, y, "text-anchor": anchor}, text));
  const line = (name, points) => svg.append(drawn("polyline", {class: name, points: points.join(" ")}));
  const place = (row, value) => x(row.step) + "," + y(value), error = row => 2 * (row.kl_se || 0);
  svg.append(drawn("rect", {class: "noise", x: box.left, y: y(noise), width: wide, height: box.bottom - y(noise)}));
  for (let k = Math.ceil(Math.log10(lowest)); 10 ** k <= highest; k++) {
    rule(box.left, y(10 ** k), box.right, y(10 ** k));
    write(box.left - 6, y(10 ** k) + 4, "end", String(+(10 ** k).toPrecision(1)));
  }
  const decades = Array.from({length: 12}, (_, k) => 10 ** k).filter(step => step >= start && step <= end);
  let written = -100;
  for (const step of start > 2 ? [rows[0].step, ...decades, end] : decades) {
    if (x(step) < written + 56) continue;
    written = x(step);
    rule(x(step), box.top, x(step), box.bottom);
    write(x(step), box.bottom + 16, "middle", step.toLocaleString("en"));
  }
  write(box.left + wide / 2, height - 6, "middle", rows[0].step ? "step" : "step (0 on the left)");
  line("error", [...rows.map(row => place(row, row[key] + error(row))),
    ...[...rows].reverse().map(row => place(row, row[key] - error(row)))]);
  line("back", back.map(row => place(row, row.reverse_kl)));
  line("kl", rows.map(row => place(row, row[key])));
  for (const row of rows) {
    svg.append(drawn("circle", {class: "dot", cx: x(row.step), cy: y(row[key]), r: row === now ? 6 : 3}));
  }
  rule(x(now.step), box.top, x(now.step), box.bottom, "now");
  const legend = document.createElement("p"), names = [
    ["kl", key === "kl" ? "KL(truth ‖ model), nats" : "energy distance"],
    ["back", "KL(model ‖ truth), nats"],
    ["noise", last.floor === undefined ? "cannot be told from 0" : "what real points have"]];
  for (const [name, words] of names) {
    if (name === "back" && !back.length) continue;
    const entry = document.createElement("span"), sign = document.createElement("i");
    sign.className = name; entry.append(sign, words); legend.append(entry);
  }
  at("distance").replaceChildren(svg, legend);
}
function take(found) {
  data = found; slider.max = Math.max(0, data.frames.length - 1); slider.disabled = data.frames.length < 2;
  at("play").disabled = slider.disabled;
  at("verdict").textContent = data.verdict || (data.live ? "training …" : "");
  if (follows) slider.value = slider.max;
  show();
}
function stop() { clearInterval(timer); timer = 0; at("play").textContent = "Play"; }
function play() {
  if (timer) return stop();
  follows = false;
  if (slider.value === slider.max) slider.value = 0;
  at("play").textContent = "Pause"; show();
  timer = setInterval(() => {
    if (slider.valueAsNumber >= data.frames.length - 1) return stop();
    slider.valueAsNumber += 1; show();
  }, 600);
}
async function poll() {
  let wait = 1000;
  try {
    const reply = await fetch("list");
    if (reply.ok) {
      const found = await reply.json();
      found.live = !found.verdict; take(found);
      if (!found.live) wait = 0;
    }
  } catch { at("verdict").textContent = "The training does not answer any more."; wait = 0; }
  if (wait) setTimeout(poll, wait);
}
slider.addEventListener("input", () => { stop(); follows = slider.value === slider.max && data.live; show(); });
at("play").addEventListener("click", play);
addEventListener("resize", show);
take(data);
if (data.live) poll();
"""

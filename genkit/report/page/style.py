"""Style and script of the pages that report on runs: light and dark, on paper, from 360 pixels on.

The six colours are those of `genkit.report.palette`.
"""

from genkit.report.palette import COLOURS, ON_DARK


def _variables(colours: tuple[str, ...]) -> str:
    return " ".join(f"--c{i}: {colour};" for i, colour in enumerate(colours))


STYLE = f"""
:root {{ {_variables(COLOURS)} --rule: #e4e4ea; --card: #f6f6f9; --good: #00795a; --bad: #b3410a; }}
@media (prefers-color-scheme: dark) {{
  :root {{ {_variables(ON_DARK)} --rule: #33333c; --card: #1f1f25; --good: #2fc79a; --bad: #f08640; }}
}}
@media print {{
  :root {{ {_variables(COLOURS)} --card: #fff; --rule: #ccc; --good: #00795a; --bad: #b3410a; }}
}}
"""
STYLE += """
body { max-width: 82rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.1rem; border-top: 1px solid var(--rule); padding-top: 1rem; }
section > p { max-width: 46rem; }
a { color: var(--c0); }
.facts th { font-weight: normal; color: var(--faint); white-space: nowrap; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tiles div { background: var(--card); border-radius: .5rem; padding: .5rem .75rem; }
.tiles dt { color: var(--faint); font-size: .8rem; } .tiles dd { margin: 0; font-size: 1.05rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1.5rem;
  align-items: start; }
figure { margin: 0; } figcaption { font-size: .85rem; }
.chart { background: var(--card); border-radius: .5rem; padding: .6rem; break-inside: avoid; }
.chart svg { width: 100%; height: auto; display: block; }
.chart svg svg { overflow: hidden; }
svg text { font: 11px system-ui, sans-serif; fill: var(--faint); } svg text.name { fill: var(--ink); }
svg .rule { stroke: var(--rule); stroke-width: 1; }
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
polyline.dashed { stroke-dasharray: 5 3; }
polyline.c0, line.c0, circle.c0 { stroke: var(--c0); } circle.c0, i.c0 { fill: var(--c0); color: var(--c0); }
polyline.c1, line.c1, circle.c1 { stroke: var(--c1); } circle.c1, i.c1 { fill: var(--c1); color: var(--c1); }
polyline.c2, line.c2, circle.c2 { stroke: var(--c2); } circle.c2, i.c2 { fill: var(--c2); color: var(--c2); }
polyline.c3, line.c3, circle.c3 { stroke: var(--c3); } circle.c3, i.c3 { fill: var(--c3); color: var(--c3); }
polyline.c4, line.c4, circle.c4 { stroke: var(--c4); } circle.c4, i.c4 { fill: var(--c4); color: var(--c4); }
polyline.c5, line.c5, circle.c5 { stroke: var(--c5); } circle.c5, i.c5 { fill: var(--c5); color: var(--c5); }
circle.hollow { fill: var(--card); stroke-width: 1.5; } line.interval { stroke-width: 2; }
rect.floor { fill: var(--c2); opacity: .2; } line.floor { stroke: var(--c2); stroke-width: 1.5; }
.key { white-space: nowrap; margin-right: .8rem; color: var(--faint); }
.key i { display: inline-block; width: 1.1rem; border-top: 2px solid; margin: 0 .3rem .2rem 0; }
.key i.dashed { border-top-style: dashed; }
.key i.floor { border-top: .7rem solid var(--c2); opacity: .35; margin-bottom: 0; }
figcaption small { color: var(--faint); }
.cursor { stroke: var(--faint); stroke-width: 1; } .touch { fill: transparent; }
.reading { display: block; color: var(--faint); font-size: .8rem; min-height: 1.2em; }
.film img { max-width: 100%; height: auto; border-radius: .25rem; background: #fff; image-rendering: auto; }
.film .frames { display: grid; } .film .frames img { grid-area: 1 / 1; } .film img[hidden] { display: none; }
.moves { display: flex; gap: .6rem; align-items: center; margin-top: .4rem; }
.moves input { flex: 1; max-width: 24rem; min-width: 6rem; accent-color: var(--c0); }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--rule); border-radius: .4rem;
  padding: .2rem .8rem; min-width: 4.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; overflow-wrap: normal; }
td { font-variant-numeric: tabular-nums; } tbody th { font-weight: normal; } thead th { color: var(--faint); }
.facts td { overflow-wrap: anywhere; } .scores td, .scores th { white-space: nowrap; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
pre { background: var(--card); border-radius: .4rem; padding: .5rem .75rem; white-space: pre-wrap; user-select: all;
  font-size: .85rem; margin: .4rem 0; }
code { font-size: .9em; }
summary { cursor: pointer; margin: .6rem 0; }
.finding { border-left: 4px solid var(--bad); background: var(--card); border-radius: 0 .5rem .5rem 0;
  padding: .5rem .9rem; margin: .6rem 0; break-inside: avoid; }
.finding.hint { border-color: var(--c4); } .finding p { margin: .25rem 0; color: inherit; }
.finding small { color: var(--faint); }
.well { color: var(--good); } .ill { color: var(--bad); }
@media (max-width: 30rem) { body { margin: 1rem auto; padding: 0 .75rem; } th, td { padding-right: .7rem; } }
@media print {
  body { font-size: 11pt; }
  .moves, .chart .reading { display: none; }
  .chart, .tiles div, pre { border: 1px solid #ccc; }
  .charts { grid-template-columns: repeat(2, 1fr); } .side { grid-template-columns: repeat(2, 1fr); }
}
"""

SCRIPT = """
const written = v => v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-4 ? v.toExponential(2) :
  String(Number(v.toPrecision(4)));
function enliven() {
  for (const film of document.querySelectorAll(".film")) {
    const frames = film.querySelectorAll("img"), slider = film.querySelector("input");
    const button = film.querySelector("button"), name = film.querySelector("output");
    if (!slider) continue;
    let timer = 0;
    const show = () => {
      frames.forEach((frame, i) => { frame.hidden = i !== slider.valueAsNumber; });
      name.textContent = frames[slider.valueAsNumber].dataset.name;
    };
    const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
    const next = () => {
      if (slider.valueAsNumber >= frames.length - 1) return stop();
      slider.valueAsNumber += 1; show();
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.valueAsNumber >= frames.length - 1) { slider.valueAsNumber = 0; show(); }
      button.textContent = "Pause"; timer = setInterval(next, Math.max(120, 4000 / frames.length));
    });
    slider.addEventListener("input", () => { stop(); show(); });
    show();
  }
  for (const plot of document.querySelectorAll("svg.plot")) {
    const ends = at => plot.dataset[at].split(" ").map(Number), [x0, x1] = ends("x"), [y0, y1] = ends("y");
    const width = plot.width.baseVal.value, height = plot.height.baseVal.value, log = "log" in plot.dataset;
    const lines = [...plot.querySelectorAll("polyline")].map(line => [line.dataset.name, [...line.points]]);
    const cursor = plot.querySelector(".cursor"), reading = plot.closest("figure").querySelector("output");
    const value = y => {
      const share = 1 - y / height;
      return log ? y0 * (y1 / y0) ** share : y0 + share * (y1 - y0);
    };
    plot.addEventListener("pointermove", event => {
      const box = plot.querySelector(".touch").getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width * width;
      const near = points => points.reduce((a, b) => Math.abs(b.x - at) < Math.abs(a.x - at) ? b : a);
      const found = lines.map(([name, points]) => [name, near(points)]);
      const first = found.map(each => each[1]).reduce((a, b) => Math.abs(b.x - at) < Math.abs(a.x - at) ? b : a);
      cursor.setAttribute("x1", first.x); cursor.setAttribute("x2", first.x);
      const said = found.map(([name, point]) => `${name} ${written(value(point.y))}`.trim());
      const step = Math.round(x0 + first.x / width * (x1 - x0)).toLocaleString("en");
      reading.textContent = `step ${step}: ${said.join(", ")}`;
    });
    plot.addEventListener("pointerleave", () => {
      cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9); reading.textContent = "\\u00a0";
    });
  }
}
enliven();
"""

FOLLOWING = """
let seen = document.documentElement.dataset.stamp;
async function follow() {
  let state;
  try { state = await (await fetch("state")).json(); } catch { return document.title = `(ended) ${document.title}`; }
  if (state.stamp !== seen) {
    const page = new DOMParser().parseFromString(await (await fetch("page")).text(), "text/html");
    const opened = [...document.querySelectorAll("details")].map(fold => fold.open);
    const places = [...document.querySelectorAll(".film input")].map(s => s.value === s.max ? null : s.value);
    document.body.replaceWith(page.body);
    document.querySelectorAll("details").forEach((fold, i) => { fold.open = opened[i] ?? fold.open; });
    document.querySelectorAll(".film input").forEach((s, i) => { if (places[i]) s.value = places[i]; });
    enliven();
    seen = state.stamp;
  }
  if (!state.ended) setTimeout(follow, 1500);
}
setTimeout(follow, 1500);
"""

"""The report of several runs as a page: what each is, their curves over each other, their samples and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genkit.report.comparison_text import Comparison
from genkit.report.html import html_page
from genkit.report.page.curves import ChartLine, charts
from genkit.report.page.elements import address, command, fold, safe, section, table
from genkit.report.page.forest import forests, score_table
from genkit.report.page.frames import FilmFrame, film, fitting
from genkit.report.page.panels import MOST, STAGES, Series
from genkit.report.page.run_page import tiles
from genkit.report.page.style import SCRIPT, STYLE

PICTURES = 12  # runs whose samples are shown
LONGEST = 60  # characters of a run's name


@dataclass(frozen=True)
class RunColumn:
    """One of the runs.

    Attributes:
        name: What tells it from the others.
        link: The path of its own report from the folder of the page, "" for none.
        facts: Status, best value, cost, … by name, as text.
        series: Of its metrics.jsonl.
        picture: Its newest samples.
    """

    name: str
    link: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    series: Series = field(default_factory=dict)
    picture: FilmFrame | None = None


@dataclass(frozen=True)
class ComparisonPage:
    """The content of the page, all of it text that is escaped here.

    Attributes:
        title: What is compared.
        folder: Where it lies.
        tiles: What to know first.
        runs: In their order.
        pictures: Of all of them together, each with a name.
        scores: Of `genkit eval`, by metric.
        differences: Keys in which the runs differ, with the value in each run.
        notes: What could not be read or compared.
        commands: How it was made, and what to type next, each with what it does.
    """

    title: str
    folder: str
    tiles: Mapping[str, object] = field(default_factory=dict)
    runs: Sequence[RunColumn] = ()
    pictures: Sequence[FilmFrame] = ()
    scores: Comparison = field(default_factory=dict)
    differences: Sequence[tuple[str, Sequence[str]]] = ()
    notes: Sequence[str] = ()
    commands: Sequence[tuple[str, str]] = ()


def comparison_page(page: ComparisonPage) -> str:
    """The whole page as HTML."""
    shown = [run for run in page.runs if run.picture is not None][:PICTURES]
    films = [
        f"<div><p>{safe(run.name, LONGEST)}</p>{film([frame], 'samples')}</div>"
        for run, frame in zip(shown, fitting([run.picture for run in shown if run.picture]), strict=False)
    ]
    pictures = [film([frame], frame.name) for frame in fitting(page.pictures)]
    names = [run.name for run in page.runs]
    curves = _curves(page.runs)
    losses = {title: panel for title, panel in curves.items() if title.endswith(" loss")}
    terms = {title: panel for title, panel in curves.items() if title not in losses}
    keys = [(f"<code>{safe(key)}</code>", *map(safe, values)) for key, values in page.differences]
    body = [
        f"<p>{safe(page.folder)}</p>",
        tiles(page.tiles),
        *(f'<p class="ill">{safe(note)}</p>' for note in page.notes),
        section("Runs", _runs(page.runs)),
        section("Together", f'<div class="side">{"".join(pictures)}</div>' if pictures else ""),
        section("Scores", forests(page.scores), fold("all scores as a table", score_table(page.scores))),
        section(
            "Losses", charts(losses), fold("all terms", charts(terms)), note="training drawn through, validation dashed"
        ),
        section("Samples", f'<div class="side">{"".join(films)}</div>' if films else "", note="the newest of each"),
        section("Configuration", fold(f"{len(keys):,} keys differ", table(keys, ("key", *names), kind="scores"))),
        section("Commands", "".join(f"<p>{safe(what)}</p>{command(line)}" for what, line in page.commands)),
    ]
    return html_page(page.title, body, STYLE, SCRIPT)


def page_of_scores(scores: Comparison) -> str:
    """The page of scores alone, as HTML."""
    sources = list(dict.fromkeys(row.source for block in scores.values() for row in block if not row.baseline))
    title = f"{', '.join(sources) if len(sources) <= 3 else f'{len(sources):,} models'}: {len(scores):,} metrics"
    body = [section("Scores", forests(scores), fold("all scores as a table", score_table(scores)))]
    return html_page(title, body, STYLE, SCRIPT)


def _runs(runs: Sequence[RunColumn]) -> str:
    columns = list(dict.fromkeys(name for run in runs for name in run.facts))
    rows = []
    for run in runs:
        name = safe(run.name, 200)
        linked = f'<a href="{address(run.link)}">{name}</a>' if run.link else name
        rows.append([linked, *(safe(run.facts.get(column, ""), 200) for column in columns)])
    return table(rows, ("run", *columns), kind="scores")


def _curves(runs: Sequence[RunColumn]) -> dict[str, list[ChartLine]]:
    """A chart per term: each run a colour, validation where there is one, else training."""
    panels: dict[str, list[ChartLine]] = {}
    for stage in ("val", "train"):
        for i, run in enumerate(runs):
            for key, points in run.series.items():
                if key.partition("/")[0] != stage:
                    continue
                title = f"{STAGES[stage]} {key.partition('/')[2].replace('/', ' ').replace('_', ' ')}"
                panels.setdefault(title, []).append(ChartLine(run.name, points, i, measured=stage == "val"))
    return dict(list(panels.items())[:MOST])

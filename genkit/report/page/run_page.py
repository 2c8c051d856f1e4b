"""The report of one run as a page: how it went, what it made, what it cost, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genkit.diagnosis.fault import Fault
from genkit.report.comparison_text import Comparison
from genkit.report.html import html_page
from genkit.report.page.curves import charts
from genkit.report.page.elements import command, facts, fold, safe, section, table
from genkit.report.page.forest import forests, score_table
from genkit.report.page.frames import FilmFrame, film
from genkit.report.page.panels import Series, loss_panels, other_panels
from genkit.report.page.style import FOLLOWING, SCRIPT, STYLE

CHANCE = {"sure": "sure", "likely": "likely", "possible": "possible"}


@dataclass(frozen=True)
class HistoryEntry:
    """A command that trained the run.

    Attributes:
        began, time, command: At which step and when it began, and how it was typed.
        changed: Each changed key with its old and its new value.
    """

    began: int
    time: str
    command: str
    changed: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True)
class RunPage:
    """The content of the page, all of it text that is escaped here.

    Attributes:
        title: Model and data, "vae on digits".
        folder: The run's.
        tiles: What to know first, by name.
        well: Whether the run ended as it should.
        findings: The diagnosis.
        examined: How many rules were looked at.
        samples, pairs: Pictures over time: samples, and reconstructions.
        real: A picture of as many real examples.
        series: Of metrics.jsonl.
        scores: Of `genkit eval`, by metric.
        notes: What could not be read.
        costs, environment: Names and values.
        parts: What the run is made of: key, class.
        differences: key, value, default.
        history: The commands that trained it.
        next: Commands to type next, each with what it does.
    """

    title: str
    folder: str
    tiles: Mapping[str, object] = field(default_factory=dict)
    well: bool = True
    findings: Sequence[Fault] = ()
    examined: int = 0
    samples: Sequence[FilmFrame] = ()
    pairs: Sequence[FilmFrame] = ()
    real: Sequence[FilmFrame] = ()
    series: Series = field(default_factory=dict)
    scores: Comparison = field(default_factory=dict)
    notes: Sequence[str] = ()
    costs: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    parts: Sequence[tuple[str, str]] = ()
    differences: Sequence[tuple[str, str, str]] = ()
    history: Sequence[HistoryEntry] = ()
    next: Sequence[tuple[str, str]] = ()


def run_page(page: RunPage, stamp: str | None = None) -> str:
    """The whole page as HTML; with a stamp, one that follows the run on the server that it came from."""
    body = [
        f"<p>{safe(page.folder)}</p>",
        tiles(page.tiles, page.well),
        *(f'<p class="ill">{safe(note)}</p>' for note in page.notes),
        section("Diagnosis", diagnosis(page.findings, page.examined)),
        section("Samples", _films(page)),
        section("Losses", charts(loss_panels(page.series)), note="training drawn through, validation dashed"),
        section("While training", charts(other_panels(page.series))),
        section("Scores", forests(page.scores), fold("all scores as a table", score_table(page.scores))),
        section("Cost and machine", _side(facts(page.costs), facts(page.environment))),
        section("Configuration", _configuration(page)),
        section("Do it again", _history(page.history)),
        section("Next", "".join(f"<p>{safe(what)}</p>{command(line)}" for what, line in page.next)),
    ]
    script = SCRIPT if stamp is None else SCRIPT + FOLLOWING
    return html_page(page.title, body, STYLE, script, stamp=stamp)


def tiles(values: Mapping[str, object], well: bool = True) -> str:
    """Facts to know first, side by side; the first one is coloured by whether all is well."""
    colours = [f' class="{"well" if well else "ill"}"', *[""] * len(values)]
    cells = (
        f"<div><dt>{safe(name)}</dt><dd{colour}>{safe(value, 200)}</dd></div>"
        for (name, value), colour in zip(values.items(), colours, strict=False)
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>' if values else ""


def diagnosis(findings: Sequence[Fault], examined: int) -> str:
    """The findings, or that there are none; "" where nothing was looked at."""
    if not examined and not findings:
        return ""
    if not findings:
        return f'<p class="well">Nothing to remark: {examined:,} rules were looked at.</p>'
    return "".join(map(_finding, findings))


def _finding(finding: Fault) -> str:
    kind = "finding" if finding.certainty == "sure" else "finding hint"
    typed = f"<p>In the command: <code>{safe(' '.join(finding.words))}</code></p>" if finding.words else ""
    return (
        f'<div class="{kind}"><p><b>{safe(finding.name)}</b> <small>{CHANCE[finding.certainty]}</small></p>'
        f"<p>{safe(finding.seen)}</p><p>{safe(finding.advice)}</p>{typed}</div>"
    )


def _films(page: RunPage) -> str:
    films = [
        f"<div><p>{safe(what)}</p>{film(frames, what)}</div>"
        for what, frames in (("Samples, from the same noise at every step", page.samples),
                             ("Held-out examples, real ones", page.real),
                             ("Held-out examples and their reconstructions", page.pairs))
        if frames
    ]  # fmt: skip
    return _side(*films)


def _side(*parts: str) -> str:
    shown = [part for part in parts if part]
    return f'<div class="side">{"".join(shown)}</div>' if shown else ""


def _configuration(page: RunPage) -> str:
    parts = facts(dict(page.parts))
    rows = [(f"<code>{safe(key)}</code>", safe(value), safe(default)) for key, value, default in page.differences]
    differences = table(rows, ("key", "value", "default of its class"), kind="facts")
    return parts + fold(f"{len(page.differences):,} keys differ from their defaults", differences)


def _history(entries: Sequence[HistoryEntry]) -> str:
    parts = []
    for entry in entries:
        if len(entries) > 1:
            parts.append(f"<p>From step {entry.began:,}, {safe(entry.time)}:</p>")
        parts.append(command(entry.command))
        rows = [(f"<code>{safe(key)}</code>", safe(old), safe(new)) for key, old, new in entry.changed]
        parts.append(table(rows, ("changed", "from", "to"), kind="facts"))
    return "".join(parts)

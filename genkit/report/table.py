"""Scores as one table for people. With one source a row per metric, with several a block per metric:

    Metric                Value [95 %]            Floor   vs floor         n  Note
    fid[digits] ↓
      diffusion           1.21 [1.05, 1.36]  0.57 ±0.13       2.1x   898/899
      pixel Gaussian      12.7 [11.9, 13.5]  0.57 ±0.13      22.2x   898/899

The arrow says which way is better; → is best where real data is. "≤ 2.18" is a bound, "≈ 2.18" an estimate.
"vs floor" is value / floor for a divergence and value − floor for everything else. What could not be scored is dim.
Notes (why something is missing, what to beware of) and what holds for the whole table stand once, below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from genkit.evaluation.record import NOT_FINITE, Record
from genkit.report.marks import marked

NAMED = 20  # columns of a metric's name, which is folded where it is longer
ARROWS = {"min": "↓", "max": "↑", "near": "→"}
GOOD, FAIR = 2.5, 5.0  # ratios to the floor up to which a value is green, yellow
KINDS = {
    "lower": "a bound on the likelihood, which may be higher",
    "estimate": "an estimated likelihood of unknown bias",
    "exact": "an exact likelihood",
}


def print_table(records: Sequence[Record], console: Console) -> None:
    """The records as a table on `console`; below it the notes, and what reference, floors and features are."""
    notes = list(dict.fromkeys(note for record in records for note in notes_of(record)))
    shown = table(records, notes)
    # no figure is cut: a terminal that is narrower breaks the line
    options = console.options.update_width(max(console.width, _least_width(shown)))
    console.print(Segments(console.render(shown, options)), crop=False, end="")
    for place, note in enumerate(notes, start=1):
        console.print(Text(f"({place}) {note}", style="dim"))
    for line in remarks(records):
        console.print(Text(line, style="dim"))


def table(records: Sequence[Record], notes: Sequence[str]) -> Table:
    """Records grouped by metric in the order of their first appearance; `notes` are referred to by their place."""
    several = len({record.source for record in records}) > 1
    out = _empty_table()
    for name in dict.fromkeys(record.name for record in records):
        block = [record for record in records if record.name == name]
        heading = f"{name} {ARROWS[block[0].direction]}"
        if several:
            out.add_row(Text(heading, style="bold"))
        for record in block:
            title = f"  {record.source}" if several else heading
            out.add_row(Text(title), *_cells(record, notes), style=None if record.scored else "dim")
    return out


def notes_of(record: Record) -> tuple[str, ...]:
    """The reason where there is no value, else what kind of likelihood it is, how to read it, what to beware of."""
    if not record.scored:
        return (record.status,)
    kind = [] if record.kind is None else [KINDS[record.kind]]
    return (*kind, *record.notes, *bias_of(record), *record.warnings)


def bias_of(record: Record) -> list[str]:
    """The distance of few rows less its bias, as its note says it."""
    if record.bias_corrected is None:
        return []
    return [f"bias-corrected: {number(record.bias_corrected)}"]


def remarks(records: Sequence[Record]) -> list[str]:
    """The remarks on what the numbers of a table rest on, each said once."""
    scored = [record for record in records if record.scored]
    floors = {record.floor.words for record in scored if record.floor is not None}
    features = {str(record.features["id"]) for record in scored if record.features is not None}
    references = {"{name} {split} ({n:,} examples, {hash:.8})".format(**record.reference) for record in scored}
    covered = {record.covers for record in scored if record.ci95 is not None and record.covers}
    said = (("reference", references), ("floor", floors), ("features", features), ("[95 %]", covered))
    return [f"{title}: {', '.join(sorted(found))}" for title, found in said if found] + costs(scored)


def costs(records: Sequence[Record]) -> list[str]:
    """The costs of the samples of each model, said once."""
    models = {record.source: record for record in records if record.model is not None and record.n_fake is not None}
    return [f"cost of {source}: {', '.join(cost_of(record))}" for source, record in models.items()]


def cost_of(record: Record) -> list[str]:
    """The cost of a model and its samples, as far as known: work first, then time, which depends on the machine."""
    model = record.model or {}
    said = [
        _counted(model.get("parameters"), "parameters"),
        _counted(model.get("step"), "steps"),
        _counted(model.get("examples_seen"), "examples seen"),
        _counted(record.evaluations, "evaluations per sample"),
    ]
    seconds, load = model.get("cpu_seconds"), (model.get("load") or {}).get("end")
    if isinstance(seconds, float):
        beside = "" if load is None else f" at load {load}"
        said.append(f"trained in {number(seconds)} CPU s{beside}")
    said.append(None if record.seconds_per_1000 is None else f"{number(record.seconds_per_1000)} s per 1,000 samples")
    return [part for part in said if part is not None]


def _counted(count: Any, what: str) -> str | None:
    return f"{count:,} {what}" if isinstance(count, int) else None


def number(value: float, like: float | None = None) -> str:
    """Three significant digits, or as many decimals as `like` has; no exponent in the range of everyday scores."""
    size = abs(value if like is None else like)
    if size != 0 and not 1e-4 <= size < 1e6:
        return f"{value:.2e}"
    decimals = next((places for limit, places in ((100, 0), (10, 1), (1, 2), (0.1, 3)) if size >= limit), 4)
    return f"{value:.{decimals}f}"


def _empty_table() -> Table:
    out = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    out.add_column("Metric", overflow="fold", min_width=NAMED)
    out.add_column("Value [95 %]", no_wrap=True)
    for title in ("Floor", "vs floor", "n"):
        out.add_column(title, justify="right", no_wrap=True)
    out.add_column("Note", no_wrap=True)
    return out


def _least_width(table: Table) -> int:
    """The columns of a terminal in which every figure stands whole."""
    columns = ([column.header, *column.cells] for column in table.columns if column.no_wrap)
    return NAMED + sum(max(len(str(cell)) for cell in column) for column in columns) + len(table.columns)


def _cells(record: Record, notes: Sequence[str]) -> list[Text]:
    marks = " ".join(f"({notes.index(note) + 1})" for note in notes_of(record))
    return [Text(_value(record)), Text(_floor(record)), _against_floor(record), Text(_count(record)), Text(marks)]


def _floor(record: Record) -> str:
    if record.floor is None:
        return ""
    spread = f" ±{number(record.floor.sd, like=record.floor.mean)}" if record.floor.measured else ""
    return f"{number(record.floor.mean)}{spread}"


def _value(record: Record) -> str:
    if record.value is None:
        return NOT_FINITE if record.status == NOT_FINITE else "n/a"
    interval = "" if record.ci95 is None else f" [{number(record.ci95[0])}, {number(record.ci95[1])}]"
    return marked(number(record.value), record.kind, record.direction) + interval


def _against_floor(record: Record) -> Text:
    if (ratio := record.ratio_to_floor) is not None:
        colour = "green" if ratio <= GOOD else "yellow" if ratio <= FAIR else "red"
        return Text(f"{f'{ratio:.1f}' if ratio < 1e6 else number(ratio)}x", style=colour)
    difference = record.difference_to_floor
    return Text("" if difference is None else f"{'+' if difference >= 0 else ''}{number(difference)}")


def _count(record: Record) -> str:
    """n of the samples / n of the reference."""
    return "/".join(f"{n:,}" for n in (record.n_fake, record.n_ref) if n is not None)

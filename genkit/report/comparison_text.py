"""A comparison as text: cells for a terminal, Markdown for a page, CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genkit.printing import shown
from genkit.report.marks import MEANING, mark, marked
from genkit.report.rows import Cost, ScoreRow
from genkit.report.table import ARROWS, number
from genkit.storage.atomic import whole_file

Comparison = dict[str, list[ScoreRow]]  # metric name to its rows, best first

BEATEN = "†"
RANKS = "#: rank, shared where 95 % intervals overlap; they cover the draw of the samples, not the training."
OVER_SEEDS = "Over several seeds: mean of the trainings [95 % of that mean, by Student's t] sd of one training."
COSTS = ("parameters", "steps", "examples seen", "evaluations per sample", "s per 1,000")


def cell(row: ScoreRow) -> str:
    """ "#1 ≤ 0.342 [0.113, 0.571]", "not finite"."""
    if row.value is None:
        return "not finite"
    ends = "" if row.interval is None else f" [{number(row.interval[0])}, {number(row.interval[1])}]"
    spread = "" if row.sd is None else f" sd {number(row.sd)}"
    rank = "" if row.rank is None else f"#{row.rank} "
    beaten = "" if row.beaten_by is None else f" {BEATEN}"
    return f"{rank}{marked(number(row.value), row.kind, row.direction)}{ends}{spread}{beaten}"


def against_floor(row: ScoreRow) -> str:
    """ "2.4x" or "+0.02"; nothing where there is no floor."""
    if row.ratio is not None:
        return f"{row.ratio:.1f}x" if row.ratio < 1e6 else f"{number(row.ratio)}x"
    return "" if row.difference is None else f"{'+' if row.difference >= 0 else ''}{number(row.difference)}"


def heading(name: str, block: Sequence[ScoreRow]) -> str:
    """ "fid[digits] ↓" """
    return f"{name} {ARROWS[block[0].direction]}"


def legend(table: Comparison) -> list[str]:
    """The meaning of the signs in the cells, of those that occur."""
    rows = [row for block in table.values() for row in block]
    signs = {mark(row.kind, row.direction) for row in rows}
    beaten = sorted({row.beaten_by for row in rows if row.beaten_by is not None})
    said = [RANKS] if any(row.rank is not None for row in rows) else []
    said += [OVER_SEEDS] if any(row.seeds for row in rows) else []
    said += [f"{MEANING[sign]}." for sign in MEANING if sign in signs]
    said += [f"{BEATEN}: surely worse than the trivial baseline {', '.join(beaten)}."] if beaten else []
    return said


def markdown(table: Comparison) -> str:
    """One row per source, one column per metric, then cost; the floor last; below it what all rests on."""
    rows = [row for block in table.values() for row in block]
    of_source: dict[str, dict[str, ScoreRow]] = {}
    for row in sorted(rows, key=lambda row: row.baseline):
        of_source.setdefault(row.source, {})[row.name] = row
    lines = [["", *(heading(name, block) for name, block in table.items()), *COSTS]]
    for source, found in of_source.items():
        cells = [cell(found[name]) if name in found else "n/a" for name in table]
        lines.append([source, *cells, *cost_cells([row.cost for row in found.values()])])
    lines.append(["real against real", *map(_floor, table.values()), *("" for _ in COSTS)])
    text = ["| " + " | ".join(word.replace("|", "\\|") for word in line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:], "", *footnotes(table)]) + "\n"


def cost_cells(costs: Sequence[Cost]) -> list[str]:
    """Parameters, steps, examples seen, evaluations per sample, seconds per 1,000 samples; "" where unknown."""
    fields = ("parameters", "steps", "examples_seen", "evaluations", "seconds_per_1000")
    found = [next((getattr(c, name) for c in costs if getattr(c, name) is not None), None) for name in fields]
    return ["" if value is None else f"{value:,}" if isinstance(value, int) else number(value) for value in found]


def footnotes(table: Comparison) -> list[str]:
    """The lines that say what the numbers rest on."""
    rows = [row for block in table.values() for row in block]
    counts = sorted({row.n_fake for row in rows if row.n_fake is not None})
    features = sorted({row.features for row in rows if row.features is not None})
    chosen = [f"{name} {_words(block[0].params)}" for name, block in table.items() if block[0].params]
    said = {
        "reference": sorted({row.reference for row in rows}),
        "samples": list(map(str, counts)),
        "features": features,
        "parameters of the metrics": chosen,
    }
    lines = [f"{title}: {', '.join(found)}" for title, found in said.items() if found]
    return [f"{line}  " for line in (*lines, *legend(table))]


def _words(params: Any) -> str:
    """ "k 3 balls closed" """
    return " ".join(f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in params.items())


def _floor(block: Sequence[ScoreRow]) -> str:
    floor = next((row.floor for row in block if row.floor is not None), None)
    return "" if floor is None else f"{number(floor[0])} ±{number(floor[1], like=floor[0])}"


def csv_text(table: Comparison) -> str:
    """One line per metric and source; what is unknown or not finite is empty."""
    text = io.StringIO(newline="")
    lines = [csv_line(row) for block in table.values() for row in block]
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def csv_line(row: ScoreRow) -> dict[str, Any]:
    lo, hi = row.interval or (None, None)
    return {
        "metric": row.name,
        "source": row.source,
        "baseline": row.baseline,
        "rank": row.rank,
        "status": "not finite" if row.value is None else "ok",
        "mark": mark(row.kind, row.direction),
        "kind": row.kind,
        "value": row.value,
        "lo": lo,
        "hi": hi,
        "seeds": len(row.seeds) or None,
        "sd": row.sd,
        "direction": row.direction,
        "floor": None if row.floor is None else row.floor[0],
        "ratio": row.ratio,
        "difference": row.difference,
        "beaten_by": row.beaten_by,
        "n_fake": row.n_fake,
        "n_ref": row.n_ref,
        "params": json.dumps(row.params, sort_keys=True),
        "features": row.features,
        "reference": row.reference,
        "parameters": row.cost.parameters,
        "steps": row.cost.steps,
        "examples_seen": row.cost.examples_seen,
        "evaluations": row.cost.evaluations,
        "seconds_per_1000": row.cost.seconds_per_1000,
        "file": shown(row.file),
    }


COLUMNS = (
    *("metric", "source", "baseline", "rank", "status", "mark", "kind", "value", "lo", "hi", "seeds", "sd"),
    *("direction", "floor", "ratio", "difference", "beaten_by", "n_fake", "n_ref", "params", "features", "reference"),
    *("parameters", "steps", "examples_seen", "evaluations", "seconds_per_1000", "file"),
)


def write_text(path: Path, text: str) -> None:
    """Raises StorageError where it cannot be written."""
    with whole_file(path) as file:
        file.write(text.encode())

"""Results of matches as tables, one for each kind."""

from __future__ import annotations

import statistics
from pathlib import Path

from peer_matches.kinds import KINDS, Kind
from peer_matches.match import Result
from peer_matches.matches import MATCHES

Standing = dict[str, list[Result]]  # side -> what it has reached with each seed


def in_words(values: list[float], digits: int = 2) -> str:
    """Mean, with the range of several."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def head(kind: Kind) -> str:
    """The first two lines of a table."""
    names = ["match", "side", "seeds", "CPU s"]
    for column in kind.columns:
        names += [column.head, *["ours / theirs"] * column.ratio]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n"


def lines(name: str, kind: Kind, results: Standing) -> list[str]:
    """The rows of a match."""
    made = []
    for side, done in results.items():
        first = side == "genkit"
        row = [f"`{name}`" if first else "", side, str(len(done)), in_words([it.seconds for it in done], 0).split()[0]]
        for column in kind.columns:
            own, mine = (
                [it.scores[column.scored][column.metric] for it in whose] for whose in (done, results["genkit"])
            )
            row.append(in_words(own, column.digits))
            if column.ratio:
                row.append("" if first else f"{statistics.mean(mine) / statistics.mean(own):.2f}")
        made.append(f"| {' | '.join(row)} |")
    return made


def tables(played: dict[str, Standing], out: Path) -> str:
    """A table of each kind of which a match was played; below the last match of a dataset what its own data reaches."""
    last = {MATCHES[name].data: name for name in played}
    made = []
    for called, kind in KINDS.items():
        rows = []
        for name, results in played.items():
            if MATCHES[name].kind == called:
                rows += lines(name, kind, results)
                if last[MATCHES[name].data] == name:
                    rows += kind.last_rows(out / name / "0" / "genkit")
        if rows:
            made.append(head(kind) + "".join(f"{row}\n" for row in rows))
    return "\n".join(made)

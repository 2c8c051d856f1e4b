"""One row on a training that is under way: step, bar, rate and time left always, losses as far as there is room.

step 345/1000 ━━━━━━━━━━ 12.3 steps/s, 0:53 left  discriminator 0.576  generator 1.2  r1 0.02  …
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

BAR = (4, 18)  # columns of the bar: at least, at most
GAP = "  "
MARKS = ("━", "…"), ("-", "...")  # of the bar, and where losses are left out; without and with ASCII alone


@dataclass(frozen=True)
class ProgressRow:
    """A moment of a training.

    Attributes:
        step, total: Optimizer steps done, and those of the whole.
        rate: Steps per second; 0 where it is not known.
        losses: The latest terms by log key, e.g. "train/generator/loss".
    """

    step: int
    total: int
    rate: float = 0.0
    losses: Mapping[str, float] = field(default_factory=dict)

    @property
    def counter(self) -> str:
        """ "step   345/1,000", as wide at every step."""
        return f"step {self.step:>{len(f'{self.total:,}')},}/{self.total:,}"

    @property
    def pace(self) -> str:
        """ "12.3 steps/s, 0:53 left"; "" where the rate is not known."""
        if self.rate <= 0:
            return ""
        each = f"{self.rate:.1f} steps/s" if self.rate >= 1 else f"{1 / self.rate:.1f} s/step"
        return f"{each}, {duration((self.total - self.step) / self.rate)} left"

    def plain(self) -> str:
        """The row as a line of a log, with all losses."""
        parts = [self.counter, self.pace, *map(str, named(self.losses))]
        return GAP.join(part for part in parts if part)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A line that no terminal wraps: the bar gives way to the losses that are minimised, they to nothing."""
        room = options.max_width - len(self.counter) - len(self.pace) - 2
        mark, more = MARKS[options.ascii_only]
        terms = named(self.losses)
        if self._wanted(terms) > room - BAR[0] - 1:
            terms = _initials(terms)
        bar = min(room, BAR[1], max(BAR[0], room - self._wanted(terms) - 1))
        row = Text(self.counter, no_wrap=True, overflow="crop", end="")
        if bar >= BAR[0]:
            row.append(" ")
            row.append_text(self._bar(bar, mark))
        row.append(f" {self.pace}" if self.pace else "")
        row.append("".join(GAP + term for term in fitting(terms, options.max_width - len(row), more)), "cyan")
        yield row

    def _wanted(self, terms: Sequence[LossTerm]) -> int:
        """Columns of the losses that are minimised, and of the word that there are more."""
        minimised = [term for term in terms if term.minimised]
        return sum(len(GAP + str(term)) for term in minimised) + len(GAP + MARKS[0][1]) * (len(terms) > len(minimised))

    def _bar(self, width: int, mark: str) -> Text:
        done = width * min(self.step, self.total) // self.total
        return Text.assemble((mark * done, "bar.complete"), (mark * (width - done), "bar.back"))


def duration(seconds: float) -> str:
    """ "0:53", "1:02:03", "2 d 4 h": short enough for a row."""
    whole = round(seconds)
    if whole >= 48 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class LossTerm(NamedTuple):
    """A loss term as the row shows it."""

    name: str
    value: float
    minimised: bool

    def __str__(self) -> str:
        large = 1000 <= abs(self.value) < 1_000_000
        return f"{self.name} {self.value:{'.0f' if large else '.3g'}}"


def named(losses: Mapping[str, float]) -> list[LossTerm]:
    """The terms, what is minimised first, each under the shortest name that says which it is.

    That is the last part of its key, the phase alone for the loss of one of several phases, and both where two phases
    have a term of one name.
    """
    keys = [key.removeprefix("train/") for key in losses]
    last = [key.rpartition("/")[2] for key in keys]
    terms = []
    for key, value, term in zip(keys, losses.values(), last, strict=True):
        phase = key.rpartition("/")[0]
        name = phase if phase and term == "loss" else term if last.count(term) == 1 else key
        terms.append(LossTerm(name, value, term == "loss"))
    return sorted(terms, key=lambda term: not term.minimised)


def _initials(terms: Sequence[LossTerm]) -> list[LossTerm]:
    """The losses of several phases by the initials of the phases, D and G, where these differ."""
    initials = {term.name: term.name[0].upper() for term in terms if term.minimised}
    if len(initials) == 1 or len(set(initials.values())) < len(initials):
        return list(terms)
    return [term._replace(name=initials[term.name]) if term.minimised else term for term in terms]


def fitting(terms: Sequence[LossTerm], room: int, more: str) -> list[str]:
    """As many of the terms from the first as there is room for, each after a gap; `more` where some are left out."""
    chosen: list[str] = []
    for i, term in enumerate(map(str, terms)):
        reserve = len(GAP + more) if i + 1 < len(terms) else 0
        if len(GAP + term) + reserve > room:
            return [*chosen, more] if len(GAP + more) <= room else chosen
        chosen.append(term)
        room -= len(GAP + term)
    return chosen

"""The diagnosis of a run: its faults in sentences, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from genkit.assembly.run_again import again_with
from genkit.assembly.run_evidence import evidence_of
from genkit.assembly.run_facts import RunFacts, facts_of
from genkit.diagnosis.fault import Fault
from genkit.diagnosis.rules import RULES, diagnose
from genkit.printing import one_line

MOST = 3  # faults that are told at the end of a training


def faults_of(facts: RunFacts, results: Sequence[Path] = ()) -> list[Fault]:
    """The faults of a run, the surest first."""
    return diagnose(evidence_of(facts, results))


def tell(console: Console, faults: Sequence[Fault], facts: RunFacts) -> None:
    """Print every fault: its name, what was seen, what to change, and the command with that change."""
    for fault in faults:
        console.print(f"{fault.name} ({fault.certainty})", style="bold", highlight=False)
        console.print(f"  seen: {one_line(fault.seen)}", soft_wrap=True, highlight=False)
        console.print(f"  do:   {one_line(fault.advice)}", soft_wrap=True, highlight=False)
        if (command := again_with(facts, fault.words)) is not None:
            console.print(f"  type: {command}", soft_wrap=True, highlight=False)
    if not faults:
        said = f"nothing to remark: {len(RULES)} rules looked at what the run recorded"
        console.print(said, style="green", highlight=False, soft_wrap=True)


def tell_shortly(console: Console, run: Path) -> None:
    """Print a line for each of the surest faults of a run that has ended; where that fails, none."""
    with suppress(Exception):
        faults = faults_of(facts_of(run))
        for fault in faults[:MOST]:
            words = f" ({' '.join(fault.words)})" if fault.words else ""
            line = one_line(f"{fault.name}, {fault.certainty}: {fault.seen} {fault.advice}{words}")
            console.print(line, style="yellow", soft_wrap=True, highlight=False)

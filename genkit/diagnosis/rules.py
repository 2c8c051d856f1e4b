"""The rules of the diagnosis, and the faults that they find in a run, the surest first."""

from __future__ import annotations

from collections.abc import Callable

from genkit.diagnosis import (
    adversary,
    averaging,
    divergence,
    fitting,
    memorisation,
    mode_collapse,
    posterior_collapse,
    sample_size,
    step_size,
)
from genkit.diagnosis.evidence import Evidence
from genkit.diagnosis.fault import RANKS, Fault

RULES: tuple[Callable[[Evidence], Fault | None], ...] = (
    divergence.rule,
    step_size.too_large,
    step_size.too_small,
    fitting.overfitting,
    fitting.underfitting,
    mode_collapse.rule,
    memorisation.rule,
    posterior_collapse.rule,
    adversary.rule,
    averaging.rule,
    sample_size.rule,
)


def diagnose(evidence: Evidence) -> list[Fault]:
    """The faults that the evidence shows."""
    found = [fault for rule in RULES if (fault := rule(evidence)) is not None]
    return sorted(found, key=lambda fault: RANKS[fault.certainty])

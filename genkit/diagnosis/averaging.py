"""The horizon of the averaged weights: an average over more steps than the run has.

A decay d looks back on about 1 / (1 − d) steps. While fewer were made, the average is over the last ninth of them, so a
decay that is too long for the run does nothing that was asked for.
"""

from __future__ import annotations

from genkit.diagnosis.evidence import Evidence
from genkit.diagnosis.fault import Fault

LEAST_STEPS = 50  # of a run that is more than a trial


def rule(evidence: Evidence) -> Fault | None:
    """The decay looks back on more steps than there are."""
    decay, steps = evidence.number("ema.decay"), evidence.steps or evidence.step
    if decay is None or not 0 < decay < 1 or steps < LEAST_STEPS:
        return None
    horizon = 1 / (1 - decay)
    if horizon <= steps:
        return None
    seen = (
        f"ema.decay={decay:g} averages weights over about {horizon:,.0f} steps, and the run has {steps:,}: the average "
        f"was over about the last {max(1, steps // 9):,} instead."
    )
    advice = "Leave the decay to the length of the run, or train for longer."
    return Fault("averaging horizon", seen, "sure", advice, ("ema.decay=null",))

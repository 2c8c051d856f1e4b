"""Step sizes: too large, where the loss leaps above its start; too small, where the weights hardly moved.

Adam and its like move each weight by at most about the learning rate in a step, whatever the gradient. So the sum of
the rates bounds how far a weight can have come, and weights begin at a size of about 0.1.
"""

from __future__ import annotations

import math
import statistics

from genkit.diagnosis.divergence import rule as divergence
from genkit.diagnosis.evidence import LEAST, WARM, Evidence, start_of, travel
from genkit.diagnosis.fault import Fault

LEAP = 1.0  # of the fall from start to best, that the loss rose above its start
BURST = 1e4  # times the median loss, which no healthy start reaches
SIZE = 0.1  # of the weights at the start
NEAR = SIZE / 10  # sum of rates, below which weights are about where they began
SURELY = NEAR / 3
STILL = 0.05  # share of the fall that the last quarter of the steps brought: the loss still falls
LEAST_STEPS = 50


def too_large(evidence: Evidence) -> Fault | None:
    """The loss leapt above all that it had at the start, and came back."""
    points = evidence.training
    if len(points) < 2 * LEAST or divergence(evidence) is not None or too_small(evidence) is not None:
        return None
    early = start_of(points)
    best, middle = min(value for _, value in points), statistics.median(value for _, value in points)
    step, peak = max(points, key=lambda point: point[1])
    leapt = step > WARM * points[-1][0] and peak - early > LEAP * max(early - best, 0.02 * abs(early))
    burst = peak - middle > BURST * max(abs(middle), 1.0)
    fastest = max((value for _, points in evidence.rates() for _, value in points), default=0.0)
    beyond = evidence.adaptive and fastest >= SIZE
    if not (leapt or burst or beyond):
        return None
    rate = evidence.number("optimizer.lr")
    named = "" if rate is None else f" from {rate:g}"
    seen = (
        f"The training loss leapt to {peak:.4g} at step {step:,.0f}, where its median is {middle:.4g}."
        if leapt or burst
        else f"The learning rate rose to {fastest:g}: one step moves a weight by more than the size that it begins at."
    )
    words = () if rate is None else (f"optimizer.lr={rate / 10:g}",)
    advice = f"Lower the learning rate{named}, or warm it up for longer."
    return Fault("step size too large", seen, "sure" if burst or beyond else "likely", advice, words)


def too_small(evidence: Evidence) -> Fault | None:
    """The weights can hardly have moved, and nothing says that they need not."""
    groups = [(key, travel(points)[-1][1]) for key, points in evidence.rates()]
    if not groups or not evidence.adaptive or evidence.step < LEAST_STEPS or evidence.settings.get("start") is not None:
        return None
    key, moved = min(groups, key=lambda group: group[1])
    if moved >= NEAR or (moved >= SURELY and _settled(evidence)):
        return None
    highest = max(value for _, value in evidence.series[key])
    seen = (
        f"The learning rate of {key.removeprefix('lr/')} was at most {highest:.3g}: over {evidence.step:,} steps no "
        f"weight moved by more than about {moved:.2g}, and weights begin at a size of about 0.1."
    )
    factor = 10 ** round(2 - _magnitude(moved))
    rate = evidence.number("optimizer.lr")
    words = () if rate is None or len(groups) > 1 else (f"optimizer.lr={min(rate * factor, 1e-2):g}",)
    return Fault("step size too small", seen, "sure" if moved < SURELY else "likely", "Raise the learning rate.",
                 words)  # fmt: skip


def _settled(evidence: Evidence) -> bool:
    """Tell whether validation says that there was nothing left to learn."""
    points = evidence.validation
    if len(points) < LEAST:
        return False
    fall = points[0][1] - points[-1][1]
    late = points[-max(2, len(points) // 4)][1] - points[-1][1]
    return fall > 0 and late < STILL * fall


def _magnitude(moved: float) -> float:
    return math.log10(max(moved, 1e-12)) + 3

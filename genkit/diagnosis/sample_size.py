"""Too few samples for a metric: its value says more of their number than of the model.

A Fréchet distance fits a covariance of as many dimensions as the features have: from fewer samples it is singular, and
the distance biased upwards (Chong & Forsyth 2020, 1911.07023).
"""

from __future__ import annotations

from genkit.diagnosis.evidence import Evidence
from genkit.diagnosis.fault import Fault

FEW = 50
OF_EVAL = "n"


def rule(evidence: Evidence) -> Fault | None:
    """A score is of fewer samples than its metric needs; the one with the fewest is named."""
    poor = [score for score in evidence.scores if score.n < max(FEW, score.dim or 0)]
    if not poor:
        return None
    score = min(poor, key=lambda each: each.n - (each.dim or 0))
    ends = "" if score.interval is None else f" [{score.interval[0]:.3g}, {score.interval[1]:.3g}]"
    singular = score.dim is not None and score.n < score.dim
    why = f", fewer than its features have dimensions ({score.dim:,})" if singular else ""
    seen = f"{score.name} {score.value:.3g}{ends} is of {score.n:,} samples{why}: it tells models apart only by chance."
    enough = f"{score.key}={max(1000, 4 * (score.dim or 0))}"
    of_training = score.key != OF_EVAL  # words are those of genkit train
    advice = "Score more samples." if of_training else f"Score more samples, as with genkit eval {enough}."
    return Fault("too few samples", seen, "sure" if singular else "likely", advice, (enough,) if of_training else ())

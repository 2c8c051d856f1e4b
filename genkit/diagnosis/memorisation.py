"""Memorisation: samples lie closer to training examples than fresh examples of the same distribution do.

Of n samples, count those whose nearest real example is a training example rather than a held-out one. A model that has
learned the distribution alone treats both alike, so the share is N_train / (N_train + N_held-out) whatever the
sharpness of the samples; a model that copies has a share near 1. Similar in spirit to Meehan et al. 2020, 2004.05675.
"""

from __future__ import annotations

import math

from genkit.diagnosis.evidence import Evidence
from genkit.diagnosis.fault import Certainty, Fault

SHARE, EXPECTED, COUNT, TRAIN = "copies/share", "copies/expected", "copies/n", "copies/train"
CLOSER = "copies/closer"
SIGMAS = 3.0  # of the share, since both the samples and the examples that they are near to are draws
EXCESS = 0.3  # of the way from the expected share to 1
COPY = 0.5  # of the distance of fresh examples from the training data


def rule(evidence: Evidence) -> Fault | None:
    """Samples are closer to the training examples than chance has it."""
    share, expected, closer = (evidence.measured.get(key) for key in (SHARE, EXPECTED, CLOSER))
    n, train = (evidence.measured.get(key) for key in (COUNT, TRAIN))
    if share is None or expected is None or not n or not train or not 0 < expected < 1:
        return None
    if closer is not None and closer >= 1:  # nearer to none of them than fresh examples are
        return None
    error = math.sqrt(expected * (1 - expected) * (1 / n + 1 / train))
    if share - expected < max(SIGMAS * error, EXCESS * (1 - expected)):
        return None
    near = "" if closer is None else f"; their median distance from it is {closer:.2f} of that of held-out examples"
    seen = (
        f"Of {n:,.0f} samples, {100 * share:.0f} % are nearest to a training example rather than a held-out one, where "
        f"{100 * expected:.0f} % would be without memory{near}."
    )
    certainty: Certainty = "sure" if closer is not None and closer < COPY else "likely"
    advice = "Train on more data or for fewer steps, augment the data, or take a smaller model."
    return Fault("memorisation", seen, certainty, advice)

"""Mode collapse: samples leave out much of the data, or are copies of each other.

Both are recorded whenever samples are drawn: how many modes or classes they reach (`samples/modes`, `samples/classes`,
with the share of each), and how many are near copies of another sample (`samples/duplicates`). Where the data have
neither modes nor classes, or samples are near none, `genkit diagnose` measures how many of a hundred training examples
are nearest to some sample, beside the same of real examples: bins as in Richardson & Weiss 2018, 1805.12462.
"""

from __future__ import annotations

from genkit.diagnosis.adversary import balancing
from genkit.diagnosis.evidence import Evidence
from genkit.diagnosis.fault import Certainty, Fault

KINDS = ("modes", "classes")
REACHED, REACHED_BY_REAL, ANCHORED = "bins/samples", "bins/real", "bins/all"  # measured
ENOUGH = 0.8  # of the modes that even samples would reach, below which some are missing
HALF = 0.5  # of the bins that real examples reach
COPIES = 0.25  # of the samples
RARE = 0.01  # a mode with a smaller share is hardly reached


def rule(evidence: Evidence) -> Fault | None:
    """Modes are missing, or samples repeat each other."""
    seen: list[str] = []
    sure = False
    for kind in KINDS:
        shares = _shares(evidence, kind)
        if not shares:
            continue
        reached = sum(share >= RARE * sum(shares) > 0 for share in shares)
        usual = expected(len(shares), sum(shares) * _looked_at(evidence))
        if reached <= ENOUGH * usual:
            seen.append(f"samples reach {reached} of {len(shares)} {kind}")
            sure = reached <= usual / 2
    hit, real = evidence.measured.get(REACHED), evidence.measured.get(REACHED_BY_REAL)
    if hit is not None and real is not None and hit < HALF * real:
        seen.append(
            f"samples come near {hit:.0f} of {evidence.measured.get(ANCHORED, 0):.0f} training examples, as many real "
            f"examples near {real:.0f}"
        )
        sure = sure or hit < HALF / 2 * real
    copies = evidence.last("samples/duplicates")
    if copies is not None and copies > COPIES:
        seen.append(f"{100 * copies:.0f} % of the samples are near copies of another one")
        sure = sure or copies > 2 * COPIES
    if not seen:
        return None
    words, advice = _advice(evidence)
    certainty: Certainty = "sure" if sure else "likely"
    return Fault("mode collapse", f"At the last look, {' and '.join(seen)}.", certainty, advice, words)


def expected(modes: int, n: float) -> float:
    """The number of modes that n samples reach which fall into all of them alike."""
    return modes * (1 - (1 - 1 / modes) ** n)


def _looked_at(evidence: Evidence) -> float:
    """The number of samples whose modes were counted."""
    return evidence.number("samples.watch_n") or evidence.number("samples.n") or 64


def _shares(evidence: Evidence, kind: str) -> list[float]:
    """The share of samples in each mode at the last look, where they are listed one by one."""
    found = [(key, points) for key, points in evidence.series.items() if key.startswith(f"samples/{kind}/")]
    last = max((points[-1][0] for _, points in found), default=None)
    looked = evidence.series.get("samples/duplicates", ())
    if last is None or (looked and looked[-1][0] > last):  # classes are counted only while samples are recognised
        return []
    return [points[-1][1] for _, points in found]


def _advice(evidence: Evidence) -> tuple[tuple[str, ...], str]:
    if any(key.endswith("/fake_logits") for key in evidence.series):
        advice = "Penalise the discriminator's gradient, let it see groups of samples, or lower the generator's rate."
        return balancing(evidence), advice
    return (), "Train for longer, or sample at a higher temperature; if it lasts, take a model with more capacity."

"""A discriminator that wins: it tells every example apart, and the generator gets no direction from it.

Asked of any training that logs logits of real and of generated examples and a discriminator's loss with its optimum at
0. The loss of a critic (Wasserstein) has no such optimum, and nothing is said of it.
"""

from __future__ import annotations

import statistics

from genkit.diagnosis.evidence import LEAST, Evidence, Points
from genkit.diagnosis.fault import Fault

NAME = "discriminator winning"
WON = 0.1  # of what its loss began at
UNEQUAL = 4.0  # times the other rate
PENALTIES = "genkit.models.gan.gradient_penalty"
APART = 4.0  # nats between the logits of real and generated examples


def rule(evidence: Evidence) -> Fault | None:
    """The discriminator's loss is near its optimum, and the logits are far apart."""
    for key, losses in evidence.series.items():
        stage, _, rest = key.partition("/")
        phase, _, term = rest.rpartition("/")
        if stage != "train" or term != "adversarial" or len(losses) < 2 * LEAST:
            continue
        logits = [evidence.series.get(f"train/{phase}/{name}", ()) for name in ("real_logits", "fake_logits")]
        if not all(logits):
            continue
        if (fault := _of(evidence, phase, losses, *logits)) is not None:
            return fault
    return None


def _of(evidence: Evidence, phase: str, losses: Points, real: Points, fake: Points) -> Fault | None:
    values = [value for _, value in losses]
    if min(values) < 0:
        return None
    begun, ended = max(values[:3]), statistics.median(values[-len(values) // 4 :])
    gap = _late(real) - _late(fake)
    if begun <= 0 or ended > WON * begun or gap < APART:
        return None
    seen = (
        f"The adversarial loss of the {phase} fell from {begun:.3g} to {ended:.3g}, and its logits of real and "
        f"generated examples are {gap:.1f} apart: it tells them apart without doubt."
    )
    advice = (
        "Weaken it: a penalty on its gradient, a lower rate for it than for the generator, fewer of its steps, or "
        "noise on what it sees."
    )
    return Fault(NAME, seen, "sure", advice, balancing(evidence))


def balancing(evidence: Evidence) -> tuple[str, ...]:
    """The words that make discriminator and generator equally strong: equal rates, else penalties on the gradient."""
    mine, other = (evidence.last(f"lr/{phase}") for phase in ("discriminator", "generator"))
    if mine is not None and other is not None and not mine / UNEQUAL < other < mine * UNEQUAL:
        return (f"+optimizer_overrides.generator.lr={mine:g}",)
    return (f"model.penalties=[{', '.join(f'{{_target_: {PENALTIES}.{name}, gamma: 0.1}}' for name in ('R1', 'R2'))}]",)


def _late(points: Points) -> float:
    values = [value for _, value in points]
    return statistics.median(values[-max(1, len(values) // 4) :])

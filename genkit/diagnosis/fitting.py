"""Under- and overfitting, by the validation curve: it still falls where training ends, or it rose again."""

from __future__ import annotations

from genkit.diagnosis.divergence import rule as divergence
from genkit.diagnosis.evidence import LEAST, Evidence, at, smoothed, travel
from genkit.diagnosis.fault import Certainty, Fault
from genkit.diagnosis.step_size import too_small

FALLING = {0.5: 0.3, 0.75: 0.15}  # share of the way, by the sum of the rates -> share of the fall that came after it
RISE = 0.10  # share of the fall, by which validation rose again
EARLY = 0.8  # share of the run, before which its best lies


def underfitting(evidence: Evidence) -> Fault | None:
    """Validation still falls: the training is too short."""
    points, training = evidence.validation, evidence.training
    if len(points) < LEAST or len(training) < LEAST or _elsewhere(evidence) or overfitting(evidence) is not None:
        return None
    start = max(training[0][1], points[0][1])
    last = points[-1][1]
    rates = next((rates for _, rates in evidence.rates()), ())
    way = travel(rates) if rates else [(step, step) for step, _ in points]
    fall = start - last
    for share, needed in FALLING.items():
        late = next((step for step, moved in way if moved >= share * way[-1][1]), points[-1][0])
        fell_late = at(points, late) - last
        if fall > 0 and fell_late >= needed * fall:
            return _falling(evidence, start, last, late, fell_late / fall, share)
    return None


def _falling(evidence: Evidence, start: float, last: float, late: float, part: float, share: float) -> Fault:
    seen = (
        f"The validation loss still falls: of its fall from {start:.4g} to {last:.4g}, {100 * part:.0f} % came after "
        f"step {late:,.0f}, in the last {100 * (1 - share):.0f} % of the way that the learning rate allows."
    )
    certainty: Certainty = "sure" if part > 2 * FALLING[share] else "likely"
    longer = (f"trainer.max_steps={4 * (evidence.steps or evidence.step)}",)
    return Fault("underfitting", seen, certainty, "Train for longer, or with a larger learning rate.", longer)


def overfitting(evidence: Evidence) -> Fault | None:
    """Validation rose again while training went on falling."""
    points = evidence.validation
    if len(points) < LEAST or len(evidence.training) < LEAST or _elsewhere(evidence):
        return None
    step, best = min(points, key=lambda point: point[1])
    last, training = points[-1][1], smoothed(evidence.training)
    start = max(evidence.training[0][1], points[0][1])
    if step > EARLY * points[-1][0] or last - best < RISE * max(start - best, 0.02 * abs(best)):
        return None
    then, now = at(training, step), training[-1][1]
    if now > then:  # both rise: that is no overfitting
        return None
    seen = (
        f"The validation loss rose from {best:.4g} at step {step:,.0f} to {last:.4g}, while the training loss fell "
        f"from {then:.4g} to {now:.4g}."
    )
    advice = "Take the best checkpoint (ckpt=RUN/best), stop early, or train on more data or with more weight decay."
    return Fault("overfitting", seen, "sure", advice, (f"trainer.max_steps={int(step)}",))


def _elsewhere(evidence: Evidence) -> bool:
    """Tell whether another fault explains the curve."""
    return divergence(evidence) is not None or too_small(evidence) is not None

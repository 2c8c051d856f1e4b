"""Divergence: a number that is not finite, or a loss that ends above the level at which it began."""

from __future__ import annotations

from genkit.diagnosis.evidence import LEAST, Evidence, smoothed, start_of
from genkit.diagnosis.fault import Fault

NAME = "divergence"
ABOVE = 1.0  # of what the loss had fallen by at its best, that it ends above its start


def rule(evidence: Evidence) -> Fault | None:
    """The training lost what it had learned, or never got anywhere."""
    rate = evidence.number("optimizer.lr")
    words = () if rate is None else (f"optimizer.lr={rate / 10:g}",)
    lower = "Lower the learning rate" + ("" if rate is None else f" from {rate:g}")
    if evidence.number("trainer.gradient_clip") == 0:
        lower, words = f"{lower}, and clip the gradient", (*words, "trainer.gradient_clip=1")
    if evidence.diverged:
        return Fault(NAME, f"A number was not finite after step {evidence.step:,}, which ended the training.", "sure",
                     f"{lower}.", words)  # fmt: skip
    for key, step in evidence.broken.items():
        if key.startswith(("train/", "val/")):
            return Fault(NAME, f"{key} was not finite at step {step:,}.", "sure", f"{lower}.", words)
    points = smoothed(evidence.training)
    if len(points) < LEAST:
        return None
    start, last, best = start_of(evidence.training), points[-1][1], min(value for _, value in points)
    if last <= start + ABOVE * max(start - best, 0.1 * abs(start)):
        return None
    seen = f"The training loss began at {start:.4g} and ends at {last:.4g}, above its start; at best it was {best:.4g}."
    return Fault(NAME, seen, "sure", f"{lower}.", words)

"""Posterior collapse: the encoder says nothing of its input, since every latent follows the prior.

A latent is active where its mean varies over examples (Burda et al. 2016, 1509.00519).
"""

from __future__ import annotations

from genkit.diagnosis.evidence import Evidence
from genkit.diagnosis.fault import Fault

EARLY = 20  # steps, before which a latent has had no time to say anything
LITTLE = 0.05  # nats of an example, below which a latent tells nothing


def rule(evidence: Evidence) -> Fault | None:
    """No latent carries information."""
    active, kl = evidence.last("val/active_units"), evidence.last("val/kl")
    silent = active is not None and active < 1
    points = evidence.series.get("val/active_units") or evidence.series.get("val/kl") or ()
    if not points or points[-1][0] < EARLY:
        return None
    if not silent and (active is not None or kl is None or kl >= LITTLE):
        return None
    said = [] if active is None else [f"{active:.0f} latents are active"]
    said += [] if kl is None else [f"the KL term is {kl:.3g} nats an example"]
    seen = f"At the last validation, {' and '.join(said)}: all examples have the same latent, the prior's."
    beta = evidence.number("model.objective.beta")
    words: tuple[str, ...] = ("model.objective={_target_: genkit.models.vae.objective.ELBO, free_bits: 0.1}",)
    advice = "Weigh the KL term less, warm it up for longer, or leave it some nats that cost nothing (free bits)."
    if beta is not None and beta > 1:
        words = ("model.objective.beta=1",)
    return Fault("posterior collapse", seen, "sure" if silent else "likely", advice, words)

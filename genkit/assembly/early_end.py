"""Report a run that a callback ended before `trainer.max_steps`: on the console and in run.json."""

from __future__ import annotations

from genkit.assembly.run import Parts

PATIENCE = "callbacks.early_stopping.patience"


def stopped(parts: Parts) -> str | None:
    """ "at step 30: val/loss has not improved for 2 validations (best 3.8 at step 10)", None where nothing did."""
    reason = parts.module.stopped
    return None if reason is None else f"at step {parts.module.global_step:,}: {reason}"


def stopped_line(parts: Parts, resumed_at: int | None) -> str | None:
    """The line for the console; of a run that had ended so when it was resumed, with the way on."""
    ended = stopped(parts)
    if ended is None or resumed_at is None or parts.module.global_step > resumed_at:
        return None if ended is None else f"stopped {ended}"
    return (
        f"stopped {ended}: that ended this run, not trainer.max_steps; ++{PATIENCE}=… allow=[{PATIENCE}] takes it "
        "further"
    )

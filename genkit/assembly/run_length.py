"""Warn of a run too short for its settings: a warm-up that never ends, a validation that never comes.

Nothing of it is wrong, and a trial of a few steps is often meant, so it is said in one line and not refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from genkit.assembly.run import Parts
from genkit.training.callbacks.early_stopping import EarlyStopping


def short_run(parts: Parts) -> str | None:
    """ "note: trainer.max_steps: 20 steps are too few for lr_schedule.warmup_steps=50 (…); …", None where none are."""
    found = list(_too_long(parts))
    steps = parts.trainer.max_steps
    count = "1 step is" if steps == 1 else f"{steps:,} steps are"
    return f"note: trainer.max_steps: {count} too few for {'; '.join(found)}" if found else None


def _too_long(parts: Parts) -> Iterator[str]:
    steps, trainer = parts.trainer.max_steps, parts.trainer
    phases = parts.module.model.phases
    if idle := [phase for phase in dict.fromkeys(phases) if phase not in phases[:steps]]:
        yield f"the phase {idle[0]}, which never trains"
    warmup = parts.module.lr_schedule.warmup_steps
    if warmup > steps:
        yield f"lr_schedule.warmup_steps={warmup} (the rate ends at {steps / warmup:.0%})"
    if trainer.log_every_n_steps > steps:
        yield f"trainer.log_every_n_steps={trainer.log_every_n_steps} (one line of losses, of the last step)"
    if trainer.val_every_n_steps > steps:
        if parts.checkpoint.monitor is not None or parts.callbacks:
            yield f"trainer.val_every_n_steps={trainer.val_every_n_steps} (no validation, no best checkpoint)"
        return
    every = None if parts.quick is None else parts.quick.options.every_n_steps
    if every is not None and every > steps:
        yield f"quick.every_n_steps={every} (no score)"
    validations = steps // trainer.val_every_n_steps
    for callback in parts.callbacks:
        if isinstance(callback, EarlyStopping) and callback.patience >= validations:
            yield f"patience={callback.patience} of early stopping ({validations} validations: it never stops this run)"

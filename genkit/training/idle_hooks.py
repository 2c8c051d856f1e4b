"""The hooks of a step that genkit leaves idle: Lightning passes by a hook that is None.

Lightning calls a dozen hooks a step on the module and on every callback, most of them empty. Around each it opens a
context, builds two texts and notes the hook's name: with eight callbacks more than a tenth of a millisecond a step.
"""

from __future__ import annotations


class IdleHooks:
    """A mixin, before Lightning's class, without the hooks of a step; a subclass that needs one defines it."""

    on_train_batch_start = None
    on_before_zero_grad = None
    on_before_backward = None
    on_after_backward = None
    on_before_optimizer_step = None


class NoStepHooks(IdleHooks):
    """As `IdleHooks`, for what does nothing at the end of a step either."""

    on_train_batch_end = None

"""Labels withheld in training, so that a model answers without one too: what classifier-free guidance moves away from.

"No label" is the label `num_classes`: the network of such a model is built with one class more than the data has.

References: Classifier-Free Diffusion Guidance (Ho & Salimans 2022, 2207.12598).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.batch_noise import uniform
from genkit.errors import ConfigError

LABEL_DROPOUT = 0.1  # share of labels withheld in training (Ho & Salimans 2022)


def with_some_withheld(y: Tensor, num_classes: int, share: float) -> Tensor:
    """Labels (B,), about a share of them replaced by "no label", by the noise of the batch."""
    dropped = uniform(len(y), device=y.device) < share
    return torch.where(dropped, num_classes, y)


def check_guidance(scale: float, num_classes: int | None, label_dropout: float, otherwise: str = "") -> None:
    """Raises ConfigError where classifier-free guidance has nothing to move away from, or nothing to move towards.

    Args:
        scale: 1 is no guidance.
        num_classes: Of the model, None without labels.
        label_dropout: Share of labels that its training withholds.
        otherwise: What else a user without labels may do, to end a sentence.
    """
    if scale == 1.0:
        return
    if num_classes is None:
        raise ConfigError(
            f"guidance.scale={scale:g}: a model without labels cannot be guided: leave it out, "
            f"{'train' if otherwise else 'or train'} with model.conditional=true{otherwise}"
        )
    if label_dropout == 0.0:
        raise ConfigError(
            f"guidance.scale={scale:g}: with model.label_dropout=0 the model never learns to do without a label: train "
            f"it with model.label_dropout={LABEL_DROPOUT:g}, or leave guidance out (guidance.scale=1)"
        )

"""TensorFloat-32 on and off: one switch for all that torch computes in float32 on a GPU.

Tensor cores round the factors of a product to ten bits of mantissa and add in float32. That is several times as fast as
float32, and changes the third decimal of an activation. torch leaves it off for matrix products and on for
convolutions; genkit has one answer for both, `trainer.tf32` for a training and off for samples and scores.
"""

import torch


def allow_tf32(allowed: bool) -> None:
    """Let matrix products and convolutions in float32 use TensorFloat-32, or forbid it to both."""
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed

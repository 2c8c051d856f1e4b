"""Images as PNG files in which nothing but the pixels tells one from another: same path, same encoder, no metadata."""

from __future__ import annotations

import io

import torch
from PIL import Image
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.report.grid import to_bytes


def png_of(v: Tensor, spec: DataSpec) -> list[bytes]:
    """One PNG each of stored values v (n, C, H, W), at their own size; a browser enlarges all by whole numbers."""
    found = []
    for pixels in to_bytes(spec.scale(v), spec).numpy():
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, format="PNG")
        found.append(file.getvalue())
    return found


def noise(spec: DataSpec, n: int, generator: torch.Generator) -> Tensor:
    """Stored values (n, *shape) whose pixels are independent and uniform: nothing that a person could take for real."""
    levels = spec.kind.count or 256
    return torch.randint(levels, (n, *spec.shape), generator=generator).to(spec.kind.stored_dtype)

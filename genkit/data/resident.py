"""A split whose values lie on the device that trains on them: a batch of it is gathered there, and nothing is sent."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.data.split import Examples, InMemory, Split

SHARE = 4  # a quarter of the free memory


class Resident(InMemory):
    """A split in the memory of a device.

    Args:
        split: What is copied there.
        device: Where to.
    """

    def __init__(self, split: InMemory, device: torch.device) -> None:
        labels = None if split.y is None else split.y.to(device)
        super().__init__(split.x.to(device), labels, None if split.c is None else split.c.to(device))

    def take(self, index: Tensor) -> Examples:
        return super().take(index.to(self.x.device, non_blocking=True))


def room_on(device: torch.device) -> int:
    """Bytes of data that may lie on a device; none on a CPU, whose memory they are in."""
    return torch.cuda.mem_get_info(device)[0] // SHARE if device.type == "cuda" else 0


def resident(split: Split, device: torch.device, room: int) -> Split:
    """The split on the device, where it is in memory and takes no more than `room` bytes; else the split itself."""
    if isinstance(split, InMemory) and split.x.numel() * split.x.element_size() <= room:
        return Resident(split, device)
    return split

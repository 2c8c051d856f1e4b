"""Datasets of images of 256 levels whose splits hold frames: what prepared arrays and shards share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from genkit.data.augmentation import crop as windows_of
from genkit.data.augmentation import flip_and_shift
from genkit.data.batch_size import default_batch_size
from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset, SplitName
from genkit.data.images.framing import Frame
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.data.window import CentreWindow

LEVELS = 256
EVAL_N = 10_000


class FramedImages(Dataset):
    """Images in [−1, 1); of a random crop, training sees windows of larger frames.

    Attributes:
        class_names: Of the labels, () without.

    Args:
        frames: The three splits, as `frame` stores images.
        frame: What a model sees.
        class_names: Of the labels, () without.
        batch_size: Images in one training micro-batch; None: by their size.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
    """

    def __init__(
        self,
        frames: Mapping[SplitName, Split],
        frame: Frame,
        class_names: tuple[str, ...],
        *,
        batch_size: int | None,
        flip: bool,
        shift: int,
    ) -> None:
        self.flip, self.shift, self.class_names = flip, shift, class_names
        channels, height, width = frames["train"].shape[0], frame.height, frame.width
        self.spec = DataSpec(
            (channels, height, width), "image", (-1.0, 1.0), LEVELS, num_classes=len(class_names) or None
        )
        self.batch_size = batch_size or default_batch_size(self.spec)
        self.random_window = frame.crop == "random"
        self.splits: dict[SplitName, Split] = {
            name: CentreWindow(split, height, width) if self.random_window else split for name, split in frames.items()
        }
        self.eval_n = min(EVAL_N, len(self.splits["train"]))

    def split(self, name: SplitName) -> Split:
        return self.splits[name]

    @property
    def view_source(self) -> Split:
        """The training images, in their larger frame where windows of it are shown."""
        train = self.splits["train"]
        return train.frames if isinstance(train, CentreWindow) else train

    @property
    def random_views(self) -> bool:
        return self.flip or self.shift > 0 or self.random_window

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        if self.random_window:
            height, width = self.spec.shape[1:]
            rows = stream.integers("window rows", index, values.shape[2] - height + 1)
            columns = stream.integers("window columns", index, values.shape[3] - width + 1)
            values = windows_of(values, torch.stack([rows, columns], 1), height, width)
        return flip_and_shift(values, index, stream, flip=self.flip, shift=self.shift)

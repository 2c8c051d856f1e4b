"""A sheet of a dataset's training examples: of images with labels a row for each class, of a table its columns."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genkit.data.dataset import Dataset
from genkit.data.split import Split
from genkit.noise import generator_of
from genkit.printing import shown
from genkit.report.grid import save_grid
from genkit.report.picture import draw

CLASSES, IN_ROW = 20, 10
IMAGES = 64  # without labels
POINTS = 10_000  # of a scatter plot
LARGEST_TILE = 128  # pixels; larger images are shown by every second, third, … of theirs
LABEL = 24  # letters of a class


def save_contact_sheet(path: Path, dataset: Dataset, seed: int, title: str) -> None:
    """Draw training examples into a PNG; which ones is a function of the seed.

    Raises StorageError where it cannot be written.
    """
    spec, split = dataset.spec, dataset.split("train")
    order = torch.randperm(len(split), generator=generator_of(seed, "contact sheet"))
    if spec.drawing == "table":  # whose columns say more than its rows
        test = dataset.split("test")
        held_out = spec.scale(test.between(0, min(len(test), POINTS)).x)
        draw(path, held_out, spec, spec.scale(split.take(order[:POINTS]).x), title, ("training rows", "test rows"))
        return
    if spec.drawing != "grid" or split.labels is None or spec.num_classes is None:
        index = order[: POINTS if spec.drawing == "scatter" else IMAGES]
        x = spec.scale(split.take(index).x)
        shown_x = thinned(x) if spec.drawing == "grid" else x
        draw(path, shown_x, spec, title=title, names=("real", "training examples"))
        return
    rows = by_class(split, order, split.labels)
    blank = torch.full((1, *spec.shape), spec.value_range[0] if spec.value_range else 0.0)
    tiles = []
    for index in rows.values():
        tiles += [spec.scale(split.take(index).x), *[blank] * (IN_ROW - len(index))]
    names = dataset.provenance.class_names
    labels = [shown(names[k] if names else k, LABEL) for k in rows]
    save_grid(path, thinned(torch.cat(tiles)), spec, columns=IN_ROW, title=title, rows=labels)


def by_class(split: Split, order: Tensor, labels: Tensor) -> dict[int, Tensor]:
    """The first IN_ROW examples, in this order, of each of the first CLASSES classes that have any."""
    ordered = labels[order]
    classes = labels.unique()[:CLASSES].tolist()
    return {k: order[(ordered == k).nonzero().flatten()[:IN_ROW]] for k in classes}


def thinned(x: Tensor) -> Tensor:
    """Images (n, C, H, W) of at most LARGEST_TILE pixels a side, by leaving pixels out."""
    step = -(-max(x.shape[2:]) // LARGEST_TILE)
    return x[:, :, ::step, ::step]

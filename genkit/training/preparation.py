"""The fixed, seeded subset of the training data that `GenerativeModel.prepare` sees."""

from collections.abc import Iterator

import torch

from genkit.data.dataset import Dataset
from genkit.data.loader import ValLoader, forward_batch
from genkit.data.spec import Batch
from genkit.models.base import GenerativeModel
from genkit.noise import generator_of
from genkit.training.batch_statistics import batch_norms, measure_statistics

LARGEST = 4096  # examples: enough for the statistics of a latent, quick for any encoder


def prepare(model: GenerativeModel, dataset: Dataset, seed: int, *, averaged: bool) -> None:
    """Fits the model's buffers to the subset, on the model's device.

    Args:
        model: In eval mode.
        dataset: What it is trained on.
        seed: Which examples, and of what the losses draw.
        averaged: Whether its weights are averages, which no batch normalisation has followed.
    """
    device = next(model.parameters()).device
    if averaged and batch_norms(model):
        measure_statistics(model, _batches(dataset, seed, device), seed)
    model.prepare(_batches(dataset, seed, device))


def _batches(dataset: Dataset, seed: int, device: torch.device) -> Iterator[Batch]:
    train = dataset.split("train")
    pick = torch.randperm(len(train), generator=generator_of(seed, "prepare"))[:LARGEST]
    for batch in ValLoader(train[pick], dataset.spec, forward_batch(dataset)):
        yield {name: value.to(device) for name, value in batch.items()}

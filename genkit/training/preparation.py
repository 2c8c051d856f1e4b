"""The fixed, seeded subset of the training data that `GenerativeModel.prepare` sees."""

from collections.abc import Iterator

import torch

from genkit.data.dataset import Dataset
from genkit.data.loader import ValLoader, forward_batch
from genkit.data.spec import Batch
from genkit.models.base import GenerativeModel
from genkit.noise import generator_of

LARGEST = 4096  # examples: enough for the statistics of a latent, quick for any encoder


def prepare(model: GenerativeModel, dataset: Dataset, seed: int) -> None:
    """Fits the model's buffers to the subset, on the model's device."""
    device = next(model.parameters()).device
    model.prepare(_batches(dataset, seed, device))


def _batches(dataset: Dataset, seed: int, device: torch.device) -> Iterator[Batch]:
    train = dataset.split("train")
    pick = torch.randperm(len(train), generator=generator_of(seed, "prepare"))[:LARGEST]
    for batch in ValLoader(train[pick], dataset.spec, forward_batch(dataset)):
        yield {name: value.to(device) for name, value in batch.items()}

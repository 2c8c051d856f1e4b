"""The batch size that the shape of the data asks for."""

import pytest

from genkit.data.batch_size import default_batch_size
from genkit.data.kinds import Modality
from genkit.data.sources.digits import Digits
from genkit.data.sources.toy import Toy
from genkit.data.spec import DataSpec


@pytest.mark.parametrize(
    ("shape", "modality", "expected"),
    [
        ((3, 32, 32), "image", 128),
        ((3, 48, 64), "image", 64),
        ((3, 64, 64), "image", 64),
        ((1, 64, 64), "image", 64),  # pixels count, not values: the network's own channels are what costs
        ((3, 128, 128), "image", 16),
        ((3, 1024, 1024), "image", 1),
        ((2,), "vector", 512),
        ((30,), "vector", 256),
        ((256,), "sequence", 32),
    ],
)
def test_larger_examples_come_in_smaller_batches(shape: tuple[int, ...], modality: Modality, expected: int) -> None:
    assert default_batch_size(DataSpec(shape, modality)) == expected


def test_the_included_datasets_agree() -> None:
    for dataset in (Digits(), Toy()):
        assert default_batch_size(dataset.spec) == dataset.batch_size

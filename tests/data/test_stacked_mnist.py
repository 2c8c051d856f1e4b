"""Stacked MNIST: every channel is a digit of the right split, and the label is the number that they spell."""

from pathlib import Path

import numpy as np
import pytest
import torch

from genkit.data.sources.stacked_mnist import StackedMNIST
from genkit.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Digit d is an image of 10 d + its split."""
    y = np.arange(40) % 10
    image = (10 * y)[:, None, None] * np.ones((1, 28, 28))
    arrays = {"x_train": image, "y_train": y, "x_test": image + 1, "y_test": y}
    np.savez(tmp_path / "mnist.npz", **{name: array.astype(np.uint8) for name, array in arrays.items()})
    return tmp_path


def test_the_label_is_the_number_that_the_channels_spell(root: Path) -> None:
    data = StackedMNIST(str(root), n_train=3_000)
    assert (data.spec.shape, data.spec.levels, data.spec.num_classes) == ((3, 28, 28), 256, 1000)
    for name, offset, n in (("train", 0, 3_000), ("val", 0, 5_000), ("test", 1, 10_000)):
        split = data.split(name)
        assert (split.x.shape, split.x.dtype, split.y.dtype) == ((n, 3, 28, 28), torch.uint8, torch.int64)
        digits = (split.x[:, :, 0, 0].long() - offset) // 10
        assert torch.equal(digits @ torch.tensor([100, 10, 1]), split.y)
        assert (split.x == split.x[:, :, :1, :1]).all()


def test_draws_are_a_function_of_the_seed_and_reach_every_kind(root: Path) -> None:
    first, again, other = (StackedMNIST(str(root), n_train=500, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.split("train").y, again.split("train").y)
    assert not torch.equal(first.split("train").y, other.split("train").y)
    assert len(first.split("test").y.unique()) == 1000


def test_without_files_it_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mnist\.npz"):
        StackedMNIST(str(tmp_path))

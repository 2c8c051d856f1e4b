"""The pool of draws that inferred latents start from."""

from __future__ import annotations

import pytest
import torch

from genkit.assembly import pool_of_draws
from genkit.assembly.pool_of_draws import pool_for
from genkit.assembly.posterior_choice import LabelledGenerator
from genkit.data.spec import DataSpec
from genkit.inverse.latent_langevin import LatentLangevin
from genkit.inverse.latent_pool import LatentPool
from genkit.models.gan.gan import GAN

CPU = torch.device("cpu")


def gan(num_classes: int | None) -> GAN:
    torch.manual_seed(0)
    return GAN(spec=DataSpec((2,), "vector", num_classes=num_classes), conditional=num_classes is not None).eval()


def pool_of(model: GAN, count: int, batch_size: int = 100) -> LatentPool | None:
    sampler = LatentLangevin(generator=LabelledGenerator(model, None, None), pool=count)
    return pool_for(sampler, model, batch_size, CPU)


@pytest.mark.parametrize("num_classes", [None, 3])
def test_a_pool_is_the_same_in_batches_of_any_size(num_classes: int | None) -> None:
    model = gan(num_classes)
    whole, parts = pool_of(model, 11), pool_of(model, 11, batch_size=4)
    assert whole is not None
    assert parts is not None
    torch.testing.assert_close(parts.x, whole.x)
    torch.testing.assert_close(model.decode(whole.z, whole.y), whole.x)
    assert (None if whole.y is None else whole.y.tolist()) == (num_classes and [i % 3 for i in range(11)])


def test_no_pool_is_drawn_where_none_is_asked_for() -> None:
    assert pool_of(gan(None), 0) is None


def test_a_pool_of_large_examples_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_of_draws, "VALUES", 12)
    pool = pool_of(gan(None), 100)
    assert pool is not None
    assert len(pool.z) == 6


def test_starts_have_the_labels_of_their_draws_unless_they_are_told() -> None:
    model = gan(3)
    pool = pool_of(model, 6)
    inferred, told = LabelledGenerator(model, None, pool), LabelledGenerator(model, torch.tensor([2, 0]), pool)
    rows = torch.tensor([4, 0, 5, 5])
    for generator, wanted in ((inferred, [1, 0, 2, 2]), (told, [2, 2, 0, 0])):
        generator.begin_with(rows, 2)
        assert generator.y is not None
        assert generator.y.tolist() == wanted

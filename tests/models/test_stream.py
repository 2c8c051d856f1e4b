"""Samples batch by batch: the same ones whatever the batches; labels that cycle; one line where they diverge."""

import pytest
import torch
from model_cases import PLANE, Affine
from torch import Tensor

from genkit.data.spec import Batch, DataSpec
from genkit.errors import ConfigError, NumericalError
from genkit.models.base import GenerativeModel, Noise
from genkit.models.conditional import labels_for
from genkit.models.gan.gan import GAN
from genkit.models.stream import stream_samples
from genkit.noise import SampleNoise


def gan(conditional: bool = False) -> GAN:
    torch.manual_seed(0)
    return GAN(spec=PLANE, latent_dim=3, backbone=Affine, conditional=conditional).eval()


def collected(model: GenerativeModel, n: int, **options) -> Tensor:
    return torch.cat([x for x, _ in stream_samples(model, n, **({"seed": 3, "batch_size": 4} | options))])


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_samples_do_not_depend_on_the_batches(conditional, batch_size):
    model = gan(conditional)
    whole = collected(model, 10, batch_size=10)
    torch.testing.assert_close(collected(model, 10, batch_size=batch_size), whole)
    torch.testing.assert_close(collected(model, 3, batch_size=batch_size, start=6), whole[6:9])
    assert not torch.allclose(collected(model, 10, seed=4), whole)


def test_batches_are_bounded_and_add_up():
    sizes = [len(x) for x, _ in stream_samples(gan(), 10, seed=0, batch_size=4)]
    assert sizes == [4, 4, 2]
    assert not any(x.requires_grad for x, _ in stream_samples(gan(), 2, seed=0, batch_size=2))


def test_labels_cycle_through_the_classes_or_are_the_one_asked_for():
    labels = [y.tolist() for _, y in stream_samples(gan(True), 5, seed=0, batch_size=3, start=1)]
    assert labels == [[1, 2, 0], [1, 2]]
    assert labels_for(gan(True), range(3), 2).tolist() == [2, 2, 2]
    assert labels_for(gan(), range(3)) is None


@pytest.mark.parametrize(
    ("conditional", "y", "words"), [(False, 0, "unconditional"), (True, 3, "0 … 2"), (True, -1, "0 … 2")]
)
def test_labels_that_the_model_does_not_know_are_refused(conditional, y, words):
    with pytest.raises(ConfigError, match=words):
        next(stream_samples(gan(conditional), 2, seed=0, batch_size=2, y=y))


def test_a_sample_that_is_not_finite_is_named():
    class Broken(GAN):
        def draw(self, n: int, *, y: Tensor | None = None, noise) -> Tensor:
            x = super().draw(n, y=y, noise=noise)
            return torch.where(torch.tensor(noise.indices)[:, None] == 6, torch.nan, x)

    model = Broken(spec=PLANE, latent_dim=3, backbone=Affine)
    with pytest.raises(NumericalError, match="sample 6 is not finite"):
        list(stream_samples(model, 10, seed=0, batch_size=4))


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.98, 0.0, 0.02)])
@pytest.mark.parametrize("seed", [0, 1])
def test_labels_come_in_the_shares_of_those_that_they_are_like(shares, seed):
    like = torch.arange(3).repeat_interleave(torch.tensor([round(1000 * share) for share in shares]))
    like = like[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    for n in (50, 898, 10_000):
        y = labels_for(gan(True), range(n), like=like, seed=seed)
        off = y.bincount(minlength=3) / n - torch.tensor(shares)
        assert off.abs().max() < 5 / n  # drawn independently it would be 0.5 / √n
    assert not torch.equal(labels_for(gan(True), range(n), like=like, seed=seed + 1), y)
    drawn = [y for _, y in stream_samples(gan(True), 30, seed=seed, batch_size=7, like=like, start=9)]
    assert torch.equal(torch.cat(drawn), y[9:39])
    assert labels_for(gan(), range(3), like=like) is None
    assert labels_for(gan(True), range(3), 2, like=like).tolist() == [2, 2, 2]


def test_labels_of_other_data_are_refused():
    with pytest.raises(ConfigError, match=r"labels in 0 … 7, the model knows 0 … 2: choose the data="):
        labels_for(gan(True), range(3), like=torch.tensor([0, 7]))


class OfItsOwn(GenerativeModel):
    """A class that writes `sample` in the place of `draw`, as plugins did at first."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.mean = torch.nn.Parameter(torch.zeros(spec.shape))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return {"loss": (batch["x"] - self.mean).square().mean()}

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.mean + noise(*self.spec.shape)


class OnTopOfIt(OfItsOwn):
    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return 2 * super().sample(n, y=y, noise=noise)


class OnTopOfAnother(GAN):
    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return 2 * super().sample(n, y=y, noise=noise)


def test_a_class_that_writes_sample_itself_is_called_as_any_other():
    other = OnTopOfAnother(spec=PLANE, latent_dim=3, backbone=Affine)
    other.load_state_dict(gan().state_dict())
    one, two = OfItsOwn(PLANE), OnTopOfIt(PLANE)
    for model, expected in ((one, SampleNoise(1, range(4))(2)), (two, 2 * one.sample(4, seed=1)),
                            (other.eval(), 2 * gan().sample(4, seed=1))):  # fmt: skip
        assert torch.equal(model.sample(4, seed=1), expected)
        assert torch.equal(model.sample(4, noise=SampleNoise(1, range(4))), expected)
        assert torch.equal(collected(model, 4, seed=1, batch_size=3), expected)
        with pytest.raises(ConfigError, match="n=0"):
            model.sample(0)

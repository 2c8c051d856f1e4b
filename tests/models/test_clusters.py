"""Clusters that stand for labels: found by k-means, counted, drawn in their shares, told to the network."""

import pytest
import torch
from model_cases import PLANE
from test_diffusion_model import Constant, diffusion
from torch import Tensor

from genkit.diffusion.sampler import EulerSampler
from genkit.errors import ConfigError
from genkit.models.clusters import Clusters
from genkit.noise import SampleNoise, generator_of

CENTRES = torch.tensor([[-9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
COUNTS = torch.tensor([60, 30, 10])


def blobs() -> tuple[Tensor, Tensor]:
    """100 points around three places, and which each belongs to."""
    of = torch.arange(3).repeat_interleave(COUNTS)[torch.randperm(100, generator=generator_of(0, "order"))]
    return CENTRES[of] + torch.randn(100, 2, generator=generator_of(0, "blobs")), of


def fitted() -> Clusters:
    clusters = Clusters(3, 2)
    clusters.fit(blobs()[0])
    return clusters


def test_the_clusters_of_parted_blobs_are_the_blobs_and_their_shares_are_counted() -> None:
    clusters, (x, of) = fitted(), blobs()
    found = clusters.of(x)
    assert len({(int(a), int(b)) for a, b in zip(found, of, strict=True)}) == 3
    for k in range(3):
        torch.testing.assert_close(clusters.centres[k], x[found == k].mean(0))
    clusters.count(x.split(7))
    torch.testing.assert_close(clusters.shares[clusters.of(CENTRES)], COUNTS / 100)


def test_clusters_are_drawn_in_their_shares_and_none_that_nothing_belongs_to() -> None:
    clusters = fitted()
    clusters.shares.copy_(torch.tensor([0.75, 0.25, 0.0]))
    drawn = clusters.draw(SampleNoise(0, range(4000)))
    assert (drawn == 0).double().mean().item() == pytest.approx(0.75, abs=0.03)
    assert drawn.max() == 1
    assert torch.equal(clusters.draw(SampleNoise(0, range(7, 12))), drawn[7:12])


def test_a_model_is_told_the_clusters_and_sometimes_none_in_training() -> None:
    x, _ = blobs()
    model = diffusion(clusters=3, label_dropout=0.2)
    model.initialise({"x": x})
    assert model.num_classes is None
    assert model.clusters is not None
    network = model.denoiser.backbone
    assert isinstance(network, Constant)
    model.eval().losses({"x": x}, "model")
    assert torch.equal(network.labels[-1], model.clusters.of(x))
    model.train().losses({"x": x}, "model")
    told = network.labels[-1]
    assert 0 < int((told == 3).sum()) < 50
    assert torch.equal(told[told < 3], model.clusters.of(x)[told < 3])


def test_samples_are_of_clusters_in_their_shares_and_everything_else_is_asked_without() -> None:
    x, _ = blobs()
    model = diffusion(clusters=3, sampler=EulerSampler).eval()
    model.initialise({"x": x})
    model.prepare({"x": part} for part in x.split(30))
    assert model.clusters is not None
    torch.testing.assert_close(model.clusters.shares.sort().values, COUNTS.sort().values / 100)
    network = model.denoiser.backbone
    assert isinstance(network, Constant)
    whole = model.sample(40, seed=1)
    assert set(network.labels[-1].tolist()) == {0, 1, 2}
    torch.testing.assert_close(whole[5:9], model.sample(4, noise=SampleNoise(1, range(5, 9))))
    model.denoiser_for(4)(x[:4], torch.ones(4))
    assert network.labels[-1].tolist() == [3] * 4
    model.log_prob(x[:4])
    assert set(network.labels[-1].tolist()) == {3}


def test_guidance_moves_towards_the_cluster() -> None:
    x, _ = blobs()
    model = diffusion(clusters=3, guidance_scale=2.0, sampler=EulerSampler).eval()
    model.initialise({"x": x})
    network = model.denoiser.backbone
    assert isinstance(network, Constant)
    model.sample(4)
    assert any((labels == 3).any() for labels in network.labels)
    assert any((labels < 3).any() for labels in network.labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"conditional": True}, "model.clusters stand for labels"), ({"label_dropout": 0.0}, "model.label_dropout=0")],
)
def test_clusters_are_refused_beside_labels_and_without_dropout(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        diffusion(PLANE, clusters=3, **options)


def test_fewer_examples_than_clusters_are_refused() -> None:
    model = diffusion(clusters=3)
    with pytest.raises(ConfigError, match="the first batch, which has 2 examples"):
        model.initialise({"x": blobs()[0][:2]})

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
    clusters.count((part, None) for part in x.split(7))
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


def test_clusters_are_refused_without_dropout() -> None:
    with pytest.raises(ConfigError, match=r"model\.label_dropout=0"):
        diffusion(PLANE, clusters=3, label_dropout=0.0)


def test_fewer_examples_than_clusters_are_refused() -> None:
    model = diffusion(clusters=3)
    with pytest.raises(ConfigError, match="the first batch, which has 2 examples"):
        model.initialise({"x": blobs()[0][:2]})


def labelled() -> tuple[Clusters, Tensor, Tensor]:
    """Two clusters of each of three labels, of which the last has one example and the one before it none."""
    x, of = blobs()
    y = torch.where(of == 0, 0, 2)
    last = (of == 2).nonzero()[0]
    keep = torch.cat([(of < 1).nonzero()[:, 0], last])
    clusters = Clusters(2, 2, num_classes=3)
    clusters.fit(x[keep], y[keep])
    return clusters, x[keep], y[keep]


def test_every_label_has_clusters_of_its_own_as_far_as_it_has_examples() -> None:
    clusters, x, y = labelled()
    assert clusters.groups == 9
    found = clusters.of(x, y)
    assert set(found.tolist()) == {0, 1, 4}
    assert torch.equal(found // 2, y)
    for k in (0, 1):
        torch.testing.assert_close(clusters.centres[k], x[found == k].mean(0))
    assert clusters.alone(torch.tensor([0, 2])).tolist() == [6, 8]
    clusters.count([(x[:20], y[:20]), (x[20:], y[20:])])
    shares = clusters.shares.view(3, 2)
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    assert shares[0, 0].item() == pytest.approx((found == 0).sum().item() / 60)
    assert shares[1].tolist() == [0.5, 0.5]  # as before: nothing was counted
    assert shares[2].tolist() == [1.0, 0.0]
    labels = torch.arange(3).repeat_interleave(2000)
    drawn = clusters.draw(SampleNoise(0, range(6000)), labels)
    assert torch.equal(drawn // 2, labels)
    of_each = torch.bincount(drawn, minlength=6).view(3, 2) / 2000
    torch.testing.assert_close(of_each, shares, rtol=0, atol=0.04)
    assert of_each[2, 1] == 0


def test_a_model_of_labels_is_told_clusters_in_them_the_label_alone_or_nothing() -> None:
    x, of = blobs()
    y = (of == 2).long()
    model = diffusion(PLANE, clusters=2, conditional=True, label_dropout=0.2, sampler=EulerSampler)
    classes = model.num_classes
    assert classes is not None
    assert model.clusters is not None
    model.initialise({"x": x, "y": y})
    model.prepare({"x": part, "y": labels} for part, labels in zip(x.split(30), y.split(30), strict=True))
    network = model.denoiser.backbone
    assert isinstance(network, Constant)
    model.eval().losses({"x": x, "y": y}, "model")
    assert torch.equal(network.labels[-1], model.clusters.of(x, y))
    model.train().losses({"x": x, "y": y}, "model")
    told = network.labels[-1]
    kinds = [told < 2 * classes, (told >= 2 * classes) & (told < 3 * classes), told == 3 * classes]
    assert all(kind.any() for kind in kinds)
    assert torch.equal(told[kinds[0]] // 2, y[kinds[0]])
    assert torch.equal(told[kinds[1]] - 2 * classes, y[kinds[1]])
    model.eval().sample(40, y[:40])
    assert torch.equal(network.labels[-1] // 2, y[:40])
    model.denoiser_for(4, y[:4])(x[:4], torch.ones(4))
    assert torch.equal(network.labels[-1], 2 * classes + y[:4])
    model.log_prob(x[:4], y[:4])
    assert torch.equal(network.labels[-1], 2 * classes + y[:4])


def test_the_shares_that_an_example_of_unknown_cluster_has() -> None:
    clusters, x, y = labelled()
    clusters.count([(x, y)])
    unknown = clusters.shares_of()
    assert unknown.shape == (1, 6)
    assert unknown.sum().item() == pytest.approx(1.0)
    told = clusters.shares_of(torch.tensor([0, 2]))
    assert told[1].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    torch.testing.assert_close(told[0, :2], clusters.shares[:2])
    assert fitted().shares_of().tolist() == [pytest.approx([1 / 3] * 3)]

"""Embeddings: bounded, told apart at every scale of time, refusing what they were not built for."""

import math

import pytest
import torch

from genkit.nn.embedding import ConditionEmbedding, FourierFeatures, condition_embedding


@pytest.mark.parametrize("features", [1, 2, 7, 64])
def test_any_number_of_features_and_none_beyond_one(features):
    out = FourierFeatures(features)(torch.linspace(-3, 3, 50))
    assert out.shape == (50, features)
    assert out.abs().max() <= 1


def test_frequencies_run_from_an_eighth_to_sixteen_cycles():
    cycles = FourierFeatures(16).frequencies / (2 * math.pi)
    torch.testing.assert_close(cycles, 2.0 ** torch.arange(-3.0, 5.0))


def test_near_and_far_times_are_told_apart():
    t = torch.linspace(-2, 2, 401)  # noise levels σ in 0.0003 … 3000, as ln σ / 4
    distance = torch.cdist(FourierFeatures(32)(t), FourierFeatures(32)(t))
    assert (distance + 10 * torch.eye(401)).min() > 0.3


@pytest.mark.parametrize(
    ("num_classes", "time", "exists"), [(None, False, False), (3, False, True), (None, True, True)]
)
def test_an_embedding_stands_only_where_something_conditions(num_classes, time, exists):
    assert (condition_embedding(8, num_classes, time) is not None) == exists


def test_the_label_after_the_last_means_none_and_is_its_own():
    torch.manual_seed(0)
    out = ConditionEmbedding(8, num_classes=3, time=False)(None, torch.arange(4))
    assert torch.cdist(out, out)[~torch.eye(4, dtype=torch.bool)].min() > 1e-3
    with pytest.raises(IndexError):
        ConditionEmbedding(8, num_classes=3, time=False)(None, torch.tensor([4]))


def test_two_times_share_the_features_and_both_count():
    features = FourierFeatures(16)
    t = torch.rand(5, 2)
    out = features(t)
    assert out.shape == (5, 16)
    torch.testing.assert_close(out[:, :8], features(t[:, 0])[:, ::2])
    torch.testing.assert_close(out[:, 8:], features(t[:, 1])[:, 1::2])

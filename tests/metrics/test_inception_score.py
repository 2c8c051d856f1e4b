"""The Inception score: its bounds, both ends of them, and no NaN where a classifier is certain."""

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, NumericalError
from genkit.metrics.base import Probe
from genkit.metrics.inception_score import InceptionScore


def scored(logits: Tensor, splits: int = 1) -> InceptionScore:
    metric = InceptionScore(splits)
    metric.update(Probe(DataSpec((1, 2, 2), "image"), {"fake_logits": lambda: logits}))
    return metric


def one_hot(labels: Tensor, scale: float) -> Tensor:
    return scale * torch.nn.functional.one_hot(labels, 10).float()


def test_uniform_predictions_score_one() -> None:
    assert float(scored(torch.zeros(50, 10)).compute()) == pytest.approx(1.0, abs=1e-9)


def test_certain_and_balanced_predictions_score_the_classes() -> None:
    assert float(scored(one_hot(torch.arange(100) % 10, 200.0)).compute()) == pytest.approx(10.0, abs=1e-6)


@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_a_collapsed_model_scores_one_and_not_nan(scale: float) -> None:
    assert float(scored(one_hot(torch.full((50,), 3), scale)).compute()) == pytest.approx(1.0, abs=1e-9)


def test_it_lies_between_one_and_the_classes() -> None:
    for seed in range(5):
        logits = 3 * torch.randn(200, 7, generator=torch.Generator().manual_seed(seed))
        assert 1.0 <= float(scored(logits).compute()) <= 7.0


def test_it_is_the_mean_divergence_from_the_marginal() -> None:
    logits = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).double()
    p = logits.softmax(1)
    expected = (p * (p / p.mean(0)).log()).sum(1).mean().exp()
    assert float(scored(logits).compute()) == pytest.approx(float(expected), rel=1e-12)


def test_small_splits_are_biased_downwards() -> None:
    """100 draws of ten certain classes score about 9.56 on average, not 10."""
    labels = torch.randint(10, (5000,), generator=torch.Generator().manual_seed(0))
    assert float(scored(one_hot(labels, 200.0), 50).compute()) == pytest.approx(9.56, abs=0.1)
    assert float(scored(one_hot(labels, 200.0), 1).compute()) > 9.97


def test_fewer_samples_than_splits_and_nan_are_refused() -> None:
    with pytest.raises(ConfigError, match="splits"):
        scored(torch.zeros(9, 3), 10).compute()
    with pytest.raises(ConfigError, match="1 samples"):
        scored(torch.zeros(1, 3)).compute()
    with pytest.raises(NumericalError):
        scored(torch.full((5, 3), float("nan"))).compute()

"""Classes of samples: how many are reached, how unequally; stacked classifiers; what a perfect model has by chance."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.sources.digits import Digits
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, NumericalError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features.classifier import ClassifierFeatures
from genkit.features.stacked import StackedFeatures
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.classes import ClassCoverage, ClassImbalance, ClassMetric

STACK = DataSpec((3, 8, 8), "image", (-1.0, 1.0), 17, 1000)


def metric_of(kind: type[ClassMetric], classes: Tensor, k: int) -> ProbeMetric:
    metric, logits = kind(), torch.nn.functional.one_hot(classes, k).double()
    for part in logits.split(97):
        metric.update(Probe(STACK, {"fake_logits": lambda part=part: part}))
    return metric


def drawn(n: int, k: int) -> Tensor:
    return torch.randint(k, (n,), generator=torch.Generator().manual_seed(0))


def test_a_perfect_model_of_stacked_digits_has_the_divergence_of_chance() -> None:
    """(K − 1)/(2n) = 0.0195 at K = 1,000, n = 25,600; its standard deviation is √(2(K − 1))/(2n) = 0.0009."""
    classes = drawn(25_600, 1000)
    imbalance = metric_of(ClassImbalance, classes, 1000)
    assert float(imbalance.compute()) == pytest.approx(999 / 51_200, abs=4 * math.sqrt(2 * 999) / 51_200)
    assert imbalance.findings() == {"by chance": pytest.approx(0.0195, abs=5e-5)}
    assert float(metric_of(ClassCoverage, classes, 1000).compute()) == 1000
    low, high = imbalance.interval(10, 0)
    assert low < float(imbalance.compute()) < high


@pytest.mark.parametrize(("reached", "divergence"), [(1, math.log(10)), (5, math.log(2)), (10, 0.0)])
def test_a_collapse_is_counted(reached: int, divergence: float) -> None:
    classes = torch.arange(500) % reached
    assert float(metric_of(ClassCoverage, classes, 10).compute()) == reached
    assert float(metric_of(ClassImbalance, classes, 10).compute()) == pytest.approx(divergence, abs=1e-12)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("kind", [ClassCoverage, ClassImbalance])
def test_no_samples_and_nan_are_refused(kind: type[ClassMetric]) -> None:
    with pytest.raises(ConfigError, match="at least 1 fake sample, got 0"):
        kind().compute()
    with pytest.raises(NumericalError, match="diverged"):
        kind().update(Probe(STACK, {"fake_logits": lambda: torch.full((2, 3), torch.nan)}))


def test_a_stack_has_the_features_and_the_classes_of_its_channels() -> None:
    digits, one, three = Digits(), ClassifierFeatures("digits"), StackedFeatures("digits")
    test = digits.split("test")
    x = digits.spec.scale(test.x[:300]).reshape(100, 3, 8, 8)
    assert three.accepts(STACK)
    assert not three.accepts(digits.spec)
    assert (three.dim(STACK), three.id) == (3 * one.dim(digits.spec), f"{one.id}x3")
    features, logits = three(x, STACK), three.logits(x, STACK)
    torch.testing.assert_close(features[:, -one.dim(digits.spec) :], one(x[:, 2:], digits.spec))
    assert logits.shape == (100, 1000)
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(100))
    place = torch.stack([one.logits(x[:, c : c + 1], digits.spec).argmax(1) for c in range(3)], 1)
    assert torch.equal(logits.argmax(1), place @ torch.tensor([100, 10, 1]))


def test_equal_classes_are_no_suspicion_of_copying() -> None:
    """A conditional model has as many samples of each class: its divergence is below that of any real data."""
    data = Digits()
    score = Evaluator(
        {"class_kl": ClassImbalance()}, ClassifierFeatures("digits"), Reference.of(data, "digits"), named=True
    )
    train = data.split("train")
    assert train.y is not None
    equal = torch.cat([(train.y == label).nonzero()[:70, 0] for label in range(10)])
    [record] = score.score_samples(train.x[equal])
    assert record.floor is not None
    assert record.value < record.floor.mean
    assert record.warnings == ()

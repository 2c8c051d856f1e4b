"""Scores of data on disk are those of the same data in memory, and its features are computed once."""

import pytest
import torch
from torch import Tensor

from genkit.data.on_disk import Layout, OnDisk, prepared
from genkit.data.sources.digits import Digits
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.evaluation.baseline import BASELINES
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import SampleSource
from genkit.evaluation.variety import VarietyWatch
from genkit.features.classifier import ClassifierFeatures
from genkit.metrics.copying import Authenticity
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.nndr import DistanceRatio


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Digits, Digits]:
    """The digits in memory and on disk."""
    memory, disk, folder = Digits(), Digits(), tmp_path_factory.mktemp("splits")
    disk.splits = {
        name: prepared(
            split.chunks(100), Layout(len(split), split.shape, labelled=True), {"split": name}, folder=folder
        )
        for name, split in memory.splits.items()
    }
    disk.everything = prepared(
        memory.everything.chunks(100), Layout(1797, (1, 8, 8), labelled=True), {"split": "all"}, folder=folder
    )
    assert isinstance(disk.split("train"), OnDisk)
    return memory, disk


class Counted(ClassifierFeatures):
    """Counts the examples that features were computed of."""

    seen = 0

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        self.seen += len(x)
        return super().__call__(x, spec)


def test_scores_floors_copies_and_neighbours(pair: tuple[Digits, Digits]) -> None:
    metrics = {"fid": FrechetDistance(), "authenticity": Authenticity(), "nndr": DistanceRatio()}
    samples = InMemory(pair[0].split("val").x)
    found = []
    for data in pair:
        features = Counted("digits")
        score = Evaluator(
            metrics, features, Reference.of(data, "digits"), named=True, floor_repeats=1, bootstrap_repeats=0
        )
        source = SampleSource(samples)
        records = [*score.score(source), *score.score_baselines(50, ("gaussian", "real"))]
        rows = [(r.metric, r.source, r.value, None if r.floor is None else r.floor.values) for r in records]
        shown = score.neighbours(source, 3)
        assert shown is not None
        found.append((rows, score.reference.facts(), shown.first, shown.closest, features.seen))
    assert found[0][:2] == found[1][:2]
    assert torch.equal(found[0][2], found[1][2])
    assert torch.equal(found[0][3], found[1][3])
    assert found[0][4] == found[1][4]


def test_what_trivial_models_and_the_watch_see(pair: tuple[Digits, Digits], monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of a few examples too, which the mean and the covariance alone could tell by their last bits."""
    for name in ("marginals", "mixture", "copies"):
        draws = [BASELINES[name][1](data, 40, 0) for data in pair]
        monkeypatch.setattr("genkit.data.split.CHUNK", 1000)
        draws += [BASELINES[name][1](data, 40, 0) for data in pair]
        monkeypatch.undo()
        assert all(torch.equal(draws[0], other) for other in draws[1:])
    draw = BASELINES["gaussian"][1]
    whole = draw(pair[0], 200, 0)
    monkeypatch.setattr("genkit.evaluation.baseline.AT_ONCE", 10)
    monkeypatch.setattr("genkit.data.split.CHUNK", 1000)
    assert (draw(pair[1], 200, 0) != whole).double().mean() < 0.01
    watches = [VarietyWatch(data, 20) for data in pair]
    assert watches[0].close == watches[1].close

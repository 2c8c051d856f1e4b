"""In which order a file lists its examples moves no score, no interval and no floor of any metric."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.config.build import build
from genkit.config.hydra.launch import compose_option
from genkit.data.dataset import Dataset, SplitName
from genkit.data.sources.digits import Digits
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import SampleSource
from genkit.features.base import FeatureExtractor
from genkit.features.classifier import ClassifierFeatures
from genkit.features.raw import RawFeatures
from genkit.metrics.base import ProbeMetric
from genkit.metrics.table_metric import TableMetric

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf/metric").glob("*.yaml"))
SMALL: dict[str, dict[str, Any]] = {
    "kid_subsets": {"subset_size": 30},
    "ndb": {"bins": 10},
    "wasserstein": {"points": 40},
    "sliced_wasserstein": {"projections": 20},
    "inception_score": {"splits": 4},
}
PLANE = DataSpec((2,), "vector")


class Listed(Dataset):
    """Splits as they are given, and no floor of its own: every split may be in any order."""

    batch_size, eval_n = 10, 10

    def __init__(self, spec: DataSpec, **splits: Split) -> None:
        self.spec, self.splits = spec, splits

    def split(self, name: SplitName) -> Split:
        return self.splits[name]


@cache
def built() -> dict[str, ProbeMetric]:
    nodes = {name: compose_option("metric", name)[name] | SMALL.get(name, {}) for name in NAMES}
    return {name: build(node, at=f"metric.{name}", expect=ProbeMetric) for name, node in nodes.items()}


def metrics(spec: DataSpec) -> dict[str, ProbeMetric]:
    """Every metric of the configuration that samples alone can be scored by; points have no columns of a table."""
    beyond = {"log_prob", "importance", "reconstruction", "truth", "modes"}
    served = {name: m for name, m in built().items() if not isinstance(m, TableMetric)}
    return {name: m for name, m in served.items() if spec.modality in m.modalities and not beyond & set(m.requires)}


def shuffled(split: Split, seed: int) -> Split:
    return split[torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))]


def plane(n: int, seed: int) -> Split:
    """Points on a lattice, so that many are equal and many distances tie."""
    return InMemory(torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)).mul(3).round() / 7)


def digits() -> tuple[Split, Split, Split]:
    data = Digits()
    real, train = data.split("test"), data.split("train")
    v = train.x[:90].roll(1, 3)
    return InMemory(real.x[:110]), InMemory(train.x[:150]), InMemory(torch.cat([v, v[:10]]))


IMAGES, POINTS = digits(), (plane(110, 0), plane(150, 1), plane(100, 2))
CASES = {
    "images, classifier": (Digits.spec, ClassifierFeatures("digits"), IMAGES),
    "images, raw": (Digits.spec, RawFeatures("std"), IMAGES),
    "points, raw": (PLANE, RawFeatures("std"), POINTS),
}


def scores(
    spec: DataSpec, features: FeatureExtractor, real: Split, train: Split, fake: Split, batch_size: int
) -> dict[str, list[float | None]]:
    """By metric: value, interval and, where the reference is a file, floors."""
    found: dict[str, list[float | None]] = {}
    for name, dataset in (("file", None), ("dataset", Listed(spec, train=train, test=real))):
        evaluator = Evaluator(
            metrics(spec),
            features,
            Reference(spec, real, name, dataset=dataset),
            named=False,
            batch_size=batch_size,
            floor_repeats=2 if dataset is None else 0,
            bootstrap_repeats=5,
        )
        for record in evaluator.score(SampleSource(fake)):
            floor = () if record.floor is None else record.floor.values
            if record.scored:
                found[f"{record.metric} {name}"] = [record.value, *(record.ci95 or ()), *floor]
    return found


@pytest.mark.parametrize("case", CASES)
def test_shuffled_rows_have_the_same_scores(case: str) -> None:
    spec, features, (real, train, fake) = CASES[case]
    listed = scores(spec, features, real, train, fake, 500)
    other = scores(spec, features, shuffled(real, 1), shuffled(train, 2), shuffled(fake, 3), 37)
    assert listed.keys() == other.keys()
    assert {f"{name} dataset" for name in metrics(spec)} - listed.keys() <= {
        f"{name} dataset" for name in ("inception_score", "class_coverage", "class_kl", "fid_infinity")
    }
    for name, values in listed.items():
        assert other[name] == pytest.approx(values, rel=1e-9, abs=1e-9), name


def test_the_hash_of_a_file_is_that_of_its_set_of_examples() -> None:
    real = IMAGES[0]
    one, two = (Reference(Digits.spec, split, "file") for split in (real, shuffled(real, 0)))
    assert one.hash == two.hash
    assert one.hash != replace(one, data=Split(real.x.flip(3))).hash
    assert isinstance(one.data.x, Tensor)

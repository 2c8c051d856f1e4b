"""The evaluator on a tiny dataset: floors by hand, batches of any size, what cannot apply, and what a record says."""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from genkit.data.dataset import Dataset, KnownDensity, KnownModes, SplitName
from genkit.data.samples import read_samples
from genkit.data.sources.digits import Digits
from genkit.data.spec import Batch, DataSpec
from genkit.data.split import InMemory, Split, content_hash
from genkit.errors import ConfigError, DataError
from genkit.evaluation import probe
from genkit.evaluation.baseline import BASELINES
from genkit.evaluation.cache import Cache, NoCache
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Floor, Reference
from genkit.evaluation.source import ModelSource
from genkit.features.base import FeatureExtractor, RealData
from genkit.features.default import default_features
from genkit.features.raw import RawFeatures
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.copying import Authenticity, authentic
from genkit.metrics.energy import EnergyDistance
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.kernel import KernelDistance
from genkit.metrics.likelihood import BitsPerDim, LogLikelihoodGap, NegativeLogLikelihood
from genkit.metrics.manifold import Coverage, Precision
from genkit.metrics.modes import HighQuality, ModeCoverage
from genkit.metrics.reconstruction import MeanSquaredError
from genkit.models.base import Conditional, Density, GenerativeModel, Noise, Reconstructor, Stepwise
from genkit.models.conditional import labels_for
from genkit.models.stream import stream_samples
from genkit.noise import dequantisation_noise, generator_of

IMAGE = DataSpec((1, 2, 3), "image", (-1.0, 1.0), 16, 3)
PLANE = DataSpec((2,), "vector")


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TinyImages(Dataset):
    """400 / 100 / 150 images of rounded noise with labels."""

    spec = IMAGE
    batch_size = 32
    eval_n = 100

    def __init__(self) -> None:
        v = (8 + 2.5 * randn(650, *IMAGE.shape, seed=0)).round().clamp(0, 15).to(torch.uint8)
        self.all = InMemory(v, torch.arange(650) % 3)
        self.parts = {"train": range(400), "val": range(400, 500), "test": range(500, 650)}
        self.splits = {name: self.all[torch.tensor(list(part))] for name, part in self.parts.items()}

    def split(self, name: SplitName) -> Split:
        return self.splits[name]


class Normal(KnownDensity):
    def log_prob(self, x: Tensor) -> Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(x.double()).sum(1)


class Plane(Dataset):
    """A standard normal in the plane, with known density; its one mode is given where `modes`."""

    spec = PLANE
    batch_size = 32
    eval_n = 100

    def __init__(self, modes: bool = True) -> None:
        self.density = Normal()
        self.modes = KnownModes(torch.zeros(1, 2), 1.0) if modes else None
        self.splits = {name: InMemory(randn(300, 2, seed=i)) for i, name in enumerate(("train", "val", "test"))}

    def split(self, name: SplitName) -> Split:
        return self.splits[name]


class Sampler(GenerativeModel):
    """Samples from N(0, 0.3²) and nothing else."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.scale = torch.nn.Parameter(torch.tensor(0.3))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return {"loss": self.scale.square()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.scale * noise(*self.spec.shape)


class Capable(Sampler, Density, Reconstructor):
    """… with a density and a reconstruction that is the value moved by 0.1."""

    bound = "lower"

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(0.0, self.scale).log_prob(x).flatten(1).sum(1)

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x + 0.1


class Labelled(Capable, Conditional):
    """… and remembers the labels that it was asked about."""

    num_classes = 3

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y)
        self.seen = y
        return super().log_prob(x)


class Counting(RawFeatures):
    """Raw features that count the examples they were computed for."""

    def __init__(self) -> None:
        super().__init__("none")
        self.examples = 0

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        self.examples += len(x)
        return super().__call__(x, spec)


def image_metrics() -> dict[str, ProbeMetric]:
    return {
        "fid": FrechetDistance(),
        "kid": KernelDistance(),
        "precision": Precision(3),
        "coverage": Coverage(5),
        "nll": NegativeLogLikelihood(),
        "bits_per_dim": BitsPerDim(),
        "mse": MeanSquaredError(),
    }


def evaluator(
    metrics: dict[str, ProbeMetric],
    dataset: Dataset,
    *,
    named: bool = True,
    batch_size: int = 64,
    features: FeatureExtractor | None = None,
    cache: Cache | None = None,
) -> Evaluator:
    return Evaluator(
        metrics,
        features or RawFeatures("std"),
        Reference.of(dataset, "tiny"),
        named=named,
        batch_size=batch_size,
        bootstrap_repeats=5,
        cache=cache,
    )


def by_hand(metric: ProbeMetric, features: FeatureExtractor, fake: Tensor, real: Tensor, spec: DataSpec) -> float:
    """The metric of two stored sets, in one batch."""
    quantities = {
        "real_features": lambda: features(spec.scale(real), spec),
        "fake_features": lambda: features(spec.scale(fake), spec),
    }
    metric.update(Probe(spec, quantities))
    return float(metric.compute())


def test_floor_is_the_metric_of_five_real_pairs() -> None:
    data, n = TinyImages(), 100
    [record, *_] = evaluator({"fid": FrechetDistance()}, data).score_samples(data.split("val"))
    features = RawFeatures("std").fitted(RealData(IMAGE, data.split("test")))
    pairs = [data.real_pair(n, repeat) for repeat in range(5)]
    values = [by_hand(FrechetDistance(), features, fake.x, real.x, IMAGE) for fake, real in pairs]
    assert record.floor is not None
    assert record.floor.values == pytest.approx(values, rel=1e-9)
    assert record.floor.mean == pytest.approx(statistics.fmean(values))
    assert record.floor.sd == pytest.approx(statistics.stdev(values))
    assert record.floor.kind == "train against test"
    assert record.ratio_to_floor == pytest.approx(record.value / record.floor.mean)
    assert (record.n_fake, record.n_ref) == (100, 150)


def test_floor_of_a_file_is_a_part_of_it_against_the_rest() -> None:
    reference = Reference(DataSpec((1,), "vector"), InMemory(torch.arange(150.0)[:, None]), "file")
    pair = reference.real_pair(60, 0)
    fake, real = (set(side.x.flatten().tolist()) for side in (pair.fake, pair.real))
    assert (len(fake), len(real), fake & real) == (60, 90, set())
    assert pair.kind == "60 of the reference against its other 90"
    assert torch.equal(pair.fake.x, reference.real_pair(60, 0).fake.x)
    assert not torch.equal(pair.fake.x, reference.real_pair(60, 1).fake.x)
    with pytest.raises(DataError, match="n=76: twice as many as the 150 reference examples"):
        reference.real_pair(76, 0)


def test_samples_are_compared_with_the_floor_of_a_file_at_its_size_of_reference() -> None:
    """A distance to all 300 rows is smaller than one to 200 of them, which the floor is about."""
    real, fake = randn(300, 8, seed=0).float(), randn(100, 8, seed=1).float()
    spec, features = DataSpec((8,), "vector"), RawFeatures("none")
    reference = Reference(spec, InMemory(real), "file")
    score = Evaluator({"fid": FrechetDistance()}, features, reference, named=True, floor_repeats=3)
    [record, *_] = score.score_samples(fake)
    pairs = [reference.real_pair(100, repeat) for repeat in range(3)]
    values = [by_hand(FrechetDistance(), features, fake, pair.real.x, spec) for pair in pairs]
    assert record.value == pytest.approx(by_hand(FrechetDistance(), features, fake, real, spec), rel=1e-9)
    assert record.floor.score == pytest.approx(statistics.fmean(values), rel=1e-9)
    assert record.floor.score > record.value
    assert record.ratio_to_floor == pytest.approx(record.floor.score / record.floor.mean)


@pytest.mark.parametrize("repeats", [0, 3])
def test_data_too_small_for_n_has_no_floor_and_says_why(repeats: int) -> None:
    data, metrics = TinyImages(), {"fid": FrechetDistance()}
    score = Evaluator(metrics, RawFeatures("std"), Reference.of(data, "tiny"), named=True, floor_repeats=repeats)
    [record, *_] = score.score_samples(torch.cat([data.split("train").x, data.split("val").x]))
    assert record.floor is None
    assert [w for w in record.warnings if "no floor" in w] == (
        ["no floor: n=500: the training split has 400 examples; choose a smaller n"] if repeats else []
    )


def test_the_floor_of_what_is_nearest_to_training_data_is_held_out_data_against_all_of_it() -> None:
    data = TinyImages()
    [record] = evaluator({"authenticity": Authenticity()}, data).score_samples(data.split("val"))
    assert record.floor.kind == "test against train"
    picks = [torch.randperm(150, generator=generator_of(repeat, "floor", 100))[:100] for repeat in range(5)]
    features = RawFeatures("std").fitted(RealData(IMAGE, data.split("test")))
    train, test = (features(IMAGE.scale(data.split(name).x), IMAGE) for name in ("train", "test"))
    centre = train.mean(0)
    values = [float(authentic(test[pick] - centre, train - centre).double().mean()) for pick in picks]
    assert record.floor.values == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("batch_size", [1, 64, 500])
def test_results_do_not_depend_on_the_batch(batch_size: int) -> None:
    data, model = TinyImages(), Capable(IMAGE).eval()
    whole = evaluator(image_metrics(), data, batch_size=150).score_model(model, 90)
    parts = evaluator(image_metrics(), data, batch_size=batch_size).score_model(model, 90)
    for a, b in zip(whole, parts, strict=True):
        assert b.value == pytest.approx(a.value, rel=1e-5), a.metric
        assert (a.floor is None) == (b.floor is None)
        if a.floor is not None and b.floor is not None:
            assert b.floor.values == pytest.approx(a.floor.values, rel=1e-5, abs=1e-9), a.metric


def test_a_model_scores_as_the_file_of_its_samples_does() -> None:
    data, model = TinyImages(), Sampler(IMAGE).eval()
    metrics = {"fid": FrechetDistance(), "coverage": Coverage(5)}
    stored = torch.cat([IMAGE.unscale(x) for x, _ in stream_samples(model, 90, seed=0, batch_size=32)])
    score = evaluator(metrics, data)
    drawn, read = score.score_model(model, 90), score.score_samples(stored)
    assert [r.value for r in drawn] == pytest.approx([r.value for r in read], rel=1e-12)


def test_dequantisation_of_an_example_is_its_own() -> None:
    whole = dequantisation_noise(3, range(10), (2, 3))
    assert torch.equal(dequantisation_noise(3, range(4, 7), (2, 3)), whole[4:7])
    assert not torch.equal(dequantisation_noise(4, range(10), (2, 3)), whole)
    assert whole.min() >= 0
    assert whole.max() < 1


def test_bits_per_dim_of_a_uniform_density_are_log2_levels() -> None:
    class Uniform(Capable):
        bound = "exact"

        def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            assert x.min() >= -1
            assert x.max() < 1
            return torch.full((len(x),), -IMAGE.dim * torch.log(torch.tensor(2.0)).item())

    [record] = evaluator({"bits_per_dim": BitsPerDim()}, TinyImages()).score_model(Uniform(IMAGE), 10)
    assert record.value == pytest.approx(4.0, rel=1e-6)
    assert (record.kind, record.dequantisation) == ("exact", "uniform, one draw per example")
    assert (record.floor, record.n_fake, record.n_ref) == (None, None, 150)


CANNOT = [
    (NegativeLogLikelihood(), TinyImages(), Sampler(IMAGE), "Sampler gives no log prob"),
    (MeanSquaredError(), TinyImages(), Sampler(IMAGE), "Sampler gives no reconstruction"),
    (BitsPerDim(), Plane(), Capable(PLANE), "defined on quantised and categorical data, not real"),
    (ModeCoverage(), Plane(modes=False), Sampler(PLANE), "tiny has no known modes"),
    (LogLikelihoodGap(), TinyImages(), Capable(IMAGE), "the exact density of tiny is unknown"),
    (Coverage(150), TinyImages(), Sampler(IMAGE), "k=150"),
]


@pytest.mark.parametrize(("metric", "dataset", "model", "reason"), CANNOT, ids=lambda case: type(case).__name__)
def test_what_cannot_apply_is_an_error_if_named_and_a_record_if_not(
    metric: ProbeMetric, dataset: Dataset, model: GenerativeModel, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        evaluator({"it": metric}, dataset).score_model(model, 90)
    record, other, *_ = evaluator({"it": metric, "fid": FrechetDistance()}, dataset, named=False).score_model(model, 90)
    assert record.status.startswith("n/a: ")
    assert reason in record.status
    assert record.value is None
    assert other.value is not None


def test_a_costly_density_is_asked_by_name_alone_and_evaluations_stand_in_the_record() -> None:
    class Costly(Capable, Stepwise):
        costly = True
        evaluations = 35

    metrics: dict[str, ProbeMetric] = {"nll": NegativeLogLikelihood(), "fid": FrechetDistance()}
    for named in (False, True):
        nll, fid, *_ = evaluator(metrics, TinyImages(), named=named).score_model(Costly(IMAGE), 90)
        assert nll.scored == named
        assert named or "name the metric" in nll.status
        assert (nll.evaluations, fid.evaluations) == (None, 35)
    assert evaluator(metrics, TinyImages()).score_model(Capable(IMAGE), 90)[1].evaluations is None


def test_samples_alone_have_no_density() -> None:
    with pytest.raises(ConfigError, match=r"metric=nll cannot score a\.npz: .*needs a model"):
        evaluator({"nll": NegativeLogLikelihood()}, TinyImages()).score_samples(TinyImages().split("val"), "a.npz")


def test_a_named_metric_is_refused_only_where_it_can_score_no_source() -> None:
    """Of a sampler and of one that reconstructs, mse is the second one's alone: both are scored, one cell is n/a."""
    score = evaluator({"fid": FrechetDistance(), "mse": MeanSquaredError()}, TinyImages())
    sampler, capable = ModelSource(Sampler(IMAGE), 90, "gan"), ModelSource(Capable(IMAGE), 90, "vae")
    turns: list[str] = []
    records = score.score(sampler, capable, starting=lambda source: turns.append(source.label))
    assert turns == ["gan", "vae"]
    status = {(record.source, record.metric): record.status.partition(":")[0] for record in records}
    assert status["gan", "mse"] == "n/a"
    assert [record.value for record in records if record.metric == "mse"][1] is not None
    with pytest.raises(ConfigError, match="metric=mse cannot score gan: Sampler gives no reconstruction"):
        score.score(sampler, sampler, starting=lambda source: pytest.fail("work before the refusal"))


def test_samples_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"a\.npz: its examples have the shape \(1, 3, 2\)"):
        evaluator(image_metrics(), TinyImages()).score_samples(torch.zeros(5, 1, 3, 2, dtype=torch.uint8), "a.npz")
    with pytest.raises(ConfigError, match="choose the data="):
        evaluator(image_metrics(), TinyImages()).score_model(Sampler(PLANE), 10)


def test_a_conditional_model_is_asked_with_the_real_labels() -> None:
    data, model = TinyImages(), Labelled(IMAGE)
    [record] = evaluator({"nll": NegativeLogLikelihood()}, data, batch_size=150).score_model(model, 10)
    assert record.value is not None
    assert torch.equal(model.seen, data.split("test").y)


class ByLabel(Labelled):
    """… and says by its samples which label it was asked for."""

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        assert y is not None
        return self.spec.scale(y.reshape(-1, 1, 1, 1).expand(-1, *self.spec.shape))


@pytest.mark.parametrize("batch_size", [7, 64])
def test_a_conditional_model_draws_the_labels_of_the_reference_and_its_record_says_so(batch_size: int) -> None:
    data = TinyImages()
    data.splits["test"] = replace(data.split("test"), y=torch.tensor([0, 0, 0, 2, 2] * 30))
    score = evaluator({"fid": FrechetDistance()}, data, batch_size=batch_size)
    probes = list(score.prober.fake(ModelSource(ByLabel(IMAGE), 100)))
    seen = torch.cat([probe["fake_y"] for probe in probes])
    assert torch.equal(IMAGE.unscale(torch.cat([probe["fake"] for probe in probes]))[:, 0, 0, 0].long(), seen)
    assert torch.equal(seen, labels_for(ByLabel(IMAGE), range(100), like=data.split("test").y))
    assert seen.bincount().tolist() == [60, 0, 40]
    [record, *_] = score.score_model(ByLabel(IMAGE), 100)
    assert record.model["labels"] == "reference shares"
    unlabelled = InMemory(data.split("test").x)
    assert ModelSource(ByLabel(IMAGE), 3).facts(unlabelled.y)["labels"] == "in turn"
    assert ModelSource(ByLabel(IMAGE), 3, y=1).facts(None)["labels"] == "y=1"
    assert "labels" not in ModelSource(Capable(IMAGE), 3).facts(unlabelled.y)


def test_known_modes_and_density_reach_the_metrics() -> None:
    metrics = {"mode_coverage": ModeCoverage(), "log_likelihood_gap": LogLikelihoodGap()}
    exact = Capable(PLANE)
    exact.scale.data.fill_(1.0)
    modes, gap = evaluator(metrics, Plane()).score_model(exact, 200)
    assert modes.value == 1
    assert gap.value == pytest.approx(0, abs=1e-6)


def test_baselines_stand_beside_real_data() -> None:
    gaussian, real = evaluator({"fid": FrechetDistance()}, TinyImages()).score_baselines(140)
    assert [gaussian.source, real.source] == ["pixel Gaussian", "real data"]
    assert real.warnings == ()
    assert real.value == pytest.approx(real.floor.values[0])


def test_fewer_samples_than_feature_dimensions_warn() -> None:
    [record, *_] = evaluator({"fid": FrechetDistance()}, TinyImages()).score_samples(TinyImages().split("val").x[:6])
    assert any("6 samples in 6 feature dimensions" in warning for warning in record.warnings)
    assert any("or an interval" in warning for warning in record.warnings)
    assert record.ci95 is None
    few = Reference(IMAGE, TinyImages().split("val")[torch.arange(6)], "few")
    metrics = {"fid": FrechetDistance(), "kid": KernelDistance(), "two": Precision(2), "three": Precision(3)}
    samples = TinyImages().split("val")
    fid, kid, two, three = Evaluator(metrics, RawFeatures("std"), few, named=True).score_samples(samples)
    assert fid.ci95 is None
    assert any("6 reference examples in 6 feature dimensions" in warning for warning in fid.warnings)
    assert None not in (kid.ci95, two.ci95)  # which rest on no covariance, and on halves with neighbours of their own
    assert (three.ci95, three.ci95_redrawn) == (None, None)
    assert "6 reference examples for 3 nearest neighbours: too few for an interval" in three.warnings


def test_features_of_other_data_stand_in_by_name_and_with_a_warning() -> None:
    reals = Digits().split("test")
    for own, name, warned in ((None, "fid[digits*]", True), ("digits", "fid[digits]", False)):
        score = Evaluator(
            {"fid": FrechetDistance()},
            default_features(Digits.spec, own),
            Reference(Digits.spec, reals, "file", features=own),
            named=True,
            floor_repeats=0,
            bootstrap_repeats=0,
        )
        [record, *_] = score.score_samples(reals[torch.arange(300)])
        assert record.name == name
        assert record.features is not None
        assert (
            record.features.get("stand_in", False)
            == any("none is made for this data" in line for line in record.warnings)
            == warned
        )
        assert record.features["id"].startswith("digits/")


def test_reference_features_and_floors_are_computed_once() -> None:
    data, features = TinyImages(), Counting()
    far = torch.full((100, *IMAGE.shape), 3, dtype=torch.uint8)
    score = evaluator({"fid": FrechetDistance(), "kid": KernelDistance()}, data, features=features)
    score.score_samples(far)
    assert features.examples == 150 + 100 + 5 * 100  # reference once, fakes once, the fake side of five floors
    score.score_samples(far)
    assert features.examples == 150 + 100 + 5 * 100 + 100


def test_a_record_says_what_it_rests_on() -> None:
    data = TinyImages()
    fid, nll, *_ = evaluator({"fid": FrechetDistance(), "nll": NegativeLogLikelihood()}, data).score_model(
        Capable(IMAGE), 90, label="run", weights="ema"
    )
    node = json.loads(json.dumps(fid.to_json(), allow_nan=False))
    assert (node["name"], node["source"], node["direction"]) == ("fid[raw]", "run", "min")
    assert node["features"] == {"id": "raw/std", "normalize": "std", "dim": 6, "quantize": 16}
    assert node["reference"] == {"name": "tiny", "split": "test", "n": 150, "hash": content_hash(data.split("test").x)}
    assert node["model"] == {"family": "capable", "parameters": 1, "device": "cpu", "weights": "ema"}
    assert node["floor"]["repeats"] == 5
    assert node["ratio_to_floor"] > 1
    assert node["ci95"][0] <= node["ci95"][1]
    assert node["env"]["torch"] == torch.__version__
    assert (nll.name, nll.kind, nll.features) == ("nll", "lower", None)


def test_a_ratio_is_given_only_above_a_clear_floor() -> None:
    [kid, *_] = evaluator({"kid": KernelDistance()}, TinyImages()).score_samples(TinyImages().split("val"))
    assert isinstance(kid.floor, Floor)
    scored = replace(kid, value=6.0)
    clear, unclear = (replace(scored, floor=Floor(values, "x")) for values in ((1.0, 3.0), (-1.0, 3.0)))
    assert (clear.ratio_to_floor, clear.difference_to_floor) == (3.0, None)  # 2 ± 1.4
    assert (unclear.ratio_to_floor, unclear.difference_to_floor) == (None, 5.0)  # 1 ± 2.8


def test_the_hash_is_of_values_shape_and_type() -> None:
    x = torch.arange(6, dtype=torch.uint8)
    hashes = {content_hash(x), content_hash(x.reshape(2, 3)), content_hash(x.to(torch.int8)), content_hash(x.flip(0))}
    assert len(hashes) == 4
    assert content_hash(x.clone()) == content_hash(x)


def test_two_files_compare_in_double_precision() -> None:
    """A shift by 1e-4 of values near 1e6 is below what float32 resolves, and is the whole distance."""
    a = 1e6 + randn(400, 2, seed=0).double() * 1e-3
    score = Evaluator(
        {"fid": FrechetDistance()},
        RawFeatures("none"),
        Reference(PLANE, InMemory(a), "b.npz"),
        named=True,
        floor_repeats=0,
    )
    [record, *_] = score.score_samples(a + torch.tensor([1e-4, 0.0], dtype=torch.float64))
    assert record.value == pytest.approx(1e-8, rel=1e-2)
    assert record.floor is None


class Costly(Counting):
    """… and are worth keeping on a disk."""

    costly = True


def cached_score(folder: Path, data: Dataset, **metrics: ProbeMetric) -> tuple[int, list[float]]:
    """How many examples went through the features, and the floors."""
    features = Costly()
    score = evaluator(metrics or {"fid": FrechetDistance()}, data, features=features, cache=Cache(folder))
    records = score.score_samples(torch.full((100, *IMAGE.shape), 3, dtype=torch.uint8))
    return features.examples, [value for record in records if record.floor for value in record.floor.values]


def test_another_process_finds_reference_features_and_floors(tmp_path: Path) -> None:
    first, floors = cached_score(tmp_path, TinyImages())
    again, read = cached_score(tmp_path, TinyImages())
    assert (first, again) == (150 + 100 + 5 * 100, 100)  # only the samples themselves are new
    assert read == floors
    assert cached_score(tmp_path, TinyImages(), fid=FrechetDistance(), kid=KernelDistance())[0] == 100 + 5 * 100


def test_features_of_a_cache_are_those_of_the_examples_in_their_order(tmp_path: Path) -> None:
    test = TinyImages().split("test")
    for prober in (evaluator({}, TinyImages(), features=Costly(), cache=Cache(tmp_path)).prober for _ in range(2)):
        assert torch.equal(prober.features_of(test), prober.features_at(IMAGE.scale(test.x)))


def test_many_features_lie_in_a_file_and_give_the_same_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, floors = cached_score(tmp_path / "small", TinyImages())
    monkeypatch.setattr(probe, "KEPT", 1000)
    first, mapped = cached_score(tmp_path / "large", TinyImages())
    again, read = cached_score(tmp_path / "large", TinyImages())
    assert (first, again) == (count, 100)
    assert mapped == read == pytest.approx(floors, rel=1e-12)
    [file] = (tmp_path / "large").glob("rows-*.bin")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for floor in (tmp_path / "large").glob("floor-*.bin"):
        floor.unlink()
    assert cached_score(tmp_path / "large", TinyImages()) == (count, floors)
    assert file.read_bytes() == content
    prober = evaluator({}, TinyImages(), features=Costly(), cache=Cache(tmp_path / "large")).prober
    test = TinyImages().split("test")
    assert torch.equal(prober.features_of(test), prober.features_at(IMAGE.scale(test.x)))
    cheap = evaluator({"fid": FrechetDistance()}, TinyImages(), features=Counting())
    [record, *_] = cheap.score_samples(torch.full((100, *IMAGE.shape), 3, dtype=torch.uint8))
    assert record.floor is not None
    assert record.floor.values == pytest.approx(floors, rel=1e-12)


def test_one_changed_pixel_of_the_reference_is_another_entry(tmp_path: Path) -> None:
    changed = TinyImages()
    x = changed.split("test").x
    cached_score(tmp_path, TinyImages())
    x[0, 0, 0, 0] = (int(x[0, 0, 0, 0]) + 1) % 16
    assert cached_score(tmp_path, changed)[0] == 150 + 100 + 5 * 100


class Layer(Costly):
    """… of another layer, or after another resize: what a feature network's id tells."""

    def __init__(self) -> None:
        super().__init__()
        self.id = "another"


MISSES: dict[str, tuple[int, dict[str, Any]]] = {  # examples through the features where the cache holds n = 100
    "nothing": (100, {}),
    "another n": (90 + 5 * 90, {"n": 90}),  # the reference's features are there, the floors are not
    "another layer": (150 + 100 + 5 * 100, {"features": Layer}),
    "another metric": (100 + 5 * 100, {"metric": KernelDistance}),
}


@pytest.mark.parametrize("change", MISSES)
def test_what_differs_in_anything_is_computed_again_and_nothing_else(change: str, tmp_path: Path) -> None:
    wanted, changed = MISSES[change]
    cached_score(tmp_path, TinyImages())
    setting = {"n": 100, "features": Costly, "metric": FrechetDistance} | changed
    features = setting["features"]()
    score = evaluator({"m": setting["metric"]()}, TinyImages(), features=features, cache=Cache(tmp_path))
    score.score_samples(torch.full((setting["n"], *IMAGE.shape), 3, dtype=torch.uint8))
    assert features.examples == wanted


def test_the_same_images_in_a_folder_a_file_and_a_dataset_are_one_entry(tmp_path: Path) -> None:
    """The name of a file is nowhere in an entry's name, its values are."""
    test = TinyImages().split("test").x
    stored = test.movedim(1, -1).numpy()
    spec = replace(IMAGE, levels=256)  # as PNGs are read
    np.savez(tmp_path / "named.npz", x=stored)
    np.save(tmp_path / "other.npy", stored)
    (tmp_path / "images").mkdir()
    for i, image in enumerate(stored):
        Image.fromarray(image[..., 0]).save(tmp_path / "images" / f"{i:03d}.png")
    references = [Reference(spec, InMemory(test), "dataset")]
    references += [Reference(spec, read_samples(tmp_path / n, spec), n) for n in ("named.npz", "other.npy", "images")]
    examples = []
    for reference in references:
        features = Costly()
        Evaluator(
            {"fid": FrechetDistance()},
            features,
            reference,
            named=True,
            cache=Cache(tmp_path / "cache"),
            floor_repeats=2,
        ).score_samples(test[:60])
        examples.append(features.examples)
    assert len({reference.hash for reference in references}) == 1
    assert examples == [150 + 60, 60, 60, 60]


def test_the_same_numbers_of_another_scale_are_another_entry(tmp_path: Path) -> None:
    test, examples = TinyImages().split("test").x, []
    for levels in (IMAGE.levels, 256, IMAGE.levels):
        features, reference = Costly(), Reference(replace(IMAGE, levels=levels), InMemory(test), "images")
        Evaluator(
            {"fid": FrechetDistance()}, features, reference, named=True, cache=Cache(tmp_path), floor_repeats=2
        ).score_samples(test[:60])
        examples.append(features.examples)
    assert examples == [150 + 60, 150 + 60, 60]


class Levels(Dataset):
    """Points on a lattice of 16 levels, with one mode."""

    batch_size = 32
    eval_n = 100

    def __init__(self, high: float, std: float) -> None:
        self.spec = DataSpec((2,), "vector", (0.0, high), 16)
        self.modes = KnownModes(torch.full((1, 2), high / 2), std)
        parts = [(8 + 2 * randn(200, 2, seed=i)).round().clamp(0, 15).to(torch.uint8) for i in range(3)]
        self.splits = {name: InMemory(part) for name, part in zip(("train", "val", "test"), parts, strict=True)}

    def split(self, name: SplitName) -> Split:
        return self.splits[name]


def test_floors_of_metrics_without_features_are_of_their_range_and_modes(tmp_path: Path) -> None:
    def floors(cache: Cache, *about: float) -> list[tuple[float, ...]]:
        score = evaluator({"energy": EnergyDistance(), "quality": HighQuality()}, Levels(*about), cache=cache)
        return [record.floor.values for record in score.score_samples(Levels(*about).splits["val"]) if record.floor]

    for about in ((16.0, 1.0), (16.0, 0.5), (32.0, 1.0), (16.0, 1.0)):
        assert floors(Cache(tmp_path), *about) == floors(NoCache(), *about)


def test_a_damaged_cache_is_computed_again(tmp_path: Path) -> None:
    _, floors = cached_score(tmp_path, TinyImages())
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:-8] + b"12345678")
    examples, read = cached_score(tmp_path, TinyImages())
    assert (examples, read) == (150 + 100 + 5 * 100, floors)
    assert cached_score(tmp_path, TinyImages())[0] == 100


class Fresh(TinyImages):
    """Enough values that no two images are equal by chance."""

    spec = DataSpec((1, 4, 4), "image", (-1.0, 1.0), 256, 3)

    def __init__(self) -> None:
        v = (128 + 20 * randn(1200, 1, 4, 4, seed=1)).round().clamp(0, 255).to(torch.uint8)
        cut = {"train": v[:500], "val": v[500:700], "test": v[700:]}
        self.splits = {name: InMemory(x) for name, x in cut.items()}


def test_the_training_set_as_samples_is_reported_as_copied() -> None:
    data = Fresh()
    records = {r.metric: r for r in evaluator({"fid": FrechetDistance()}, data).score_samples(data.split("train").x)}
    assert records["authenticity"].value == 0.0
    assert records["c_t"].value < -20
    assert records["nndr"].value < -15
    [warning] = records["nndr"].warnings
    assert "copies" in warning
    assert "nearest sample and training example" in warning
    for sample, example, distance, ratio in records["nndr"].findings["pairs"]:
        assert (distance, ratio) == (0.0, 0.0)
        assert torch.equal(data.split("train").x[sample], data.split("train").x[example])


def test_fresh_samples_are_not_reported_as_copied() -> None:
    data = Fresh()
    records = {r.metric: r for r in evaluator({"fid": FrechetDistance()}, data).score_samples(data.split("val").x)}
    assert records.keys() == {"fid", "nndr", "authenticity", "c_t"}
    assert not any("cop" in warning for record in records.values() for warning in record.warnings)
    assert abs(records["c_t"].value) < 3
    assert records["authenticity"].difference_to_floor == pytest.approx(0.0, abs=0.12)


@pytest.mark.parametrize("n", [90, 300])  # with a floor, and too many for one
@pytest.mark.parametrize("repeats", [0, 1, 5])
def test_copies_of_a_file_are_named_by_its_rows_and_fresh_data_never(n: int, repeats: int) -> None:
    spec, rows = DataSpec((8,), "vector"), randn(300, 8, seed=3).float()
    pick = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:n]
    for metric in (FrechetDistance(), EnergyDistance()):
        score = Evaluator(
            {"it": metric},
            RawFeatures("std"),
            Reference(spec, InMemory(rows), "real.npz"),
            named=True,
            floor_repeats=repeats,
        )
        said = [w for record in score.score_samples(rows[pick] + 1e-3) for w in record.warnings if "copies" in w]
        assert len(said) == 1
        assert "row of real.npz" in said[0]
        named = said[0].rpartition(": ")[2].split(", ")
        assert all(int(pick[int(pair.split(" and ")[0])]) == int(pair.split(" and ")[1]) for pair in named)
        fresh = [w for r in score.score_samples(randn(n, 8, seed=4).float()) for w in r.warnings if "copies" in w]
        assert fresh == []


@pytest.mark.parametrize("repeats", [0, 1, 2])
def test_copies_are_found_however_few_repeats_the_floor_has(repeats: int) -> None:
    """The distance of a copied set is above the mean of few repeats as often as below it."""
    for seed in range(8):
        rows = randn(300, 8, seed=seed).float()
        reference = Reference(DataSpec((8,), "vector"), InMemory(rows), "real.npz")
        score = Evaluator(
            {"energy": EnergyDistance()}, RawFeatures("std"), reference, named=True, floor_repeats=repeats
        )
        pick = torch.randperm(300, generator=torch.Generator().manual_seed(seed))[:90]
        assert any("copies" in w for record in score.score_samples(rows[pick]) for w in record.warnings)
    data = Fresh()
    score = Evaluator(
        {"fid": FrechetDistance()}, RawFeatures("std"), Reference.of(data, "fresh"), named=True, floor_repeats=repeats
    )
    found = [w for record in score.score_samples(data.split("train").x) for w in record.warnings if "copies" in w]
    assert len(found) == 1


def test_baselines_are_marked_and_named() -> None:
    rows = evaluator({"fid": FrechetDistance()}, Fresh()).score_baselines(150, [*BASELINES, "real"])
    assert [row.source for row in rows] == [
        "pixel Gaussian", "pixel marginals", "pixel mixture", "training copies", "real data",
    ]  # fmt: skip
    assert all(row.baseline for row in rows)
    with pytest.raises(ConfigError, match=r"baselines=\[pca\]: there are gaussian, marginals"):
        evaluator({"fid": FrechetDistance()}, Fresh()).score_baselines(10, ["pca"])


def test_drawing_samples_is_timed_and_samples_of_a_file_are_not() -> None:
    data = TinyImages()
    score = evaluator({"fid": FrechetDistance(), "nll": NegativeLogLikelihood()}, data)
    fid, nll, *_ = score.score_model(Capable(IMAGE), 90)
    assert fid.seconds_per_1000 > 0
    assert nll.seconds_per_1000 is None
    [read, *_] = evaluator({"fid": FrechetDistance()}, data).score_samples(data.split("val"))
    assert read.seconds_per_1000 is None


class Wide(GenerativeModel):
    """A network whose products are long enough to round differently with the number of rows."""

    def __init__(self) -> None:
        super().__init__(PLANE)
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(700, 700), torch.nn.SiLU(), torch.nn.Linear(700, 2))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        raise NotImplementedError

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.net(noise(700))


@pytest.mark.parametrize("batch_size", [1, 7, 64, 500])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_samples_are_the_same_to_the_last_bit_in_any_batches_and_any_parts(batch_size: int, parts: int) -> None:
    n = 150
    source = ModelSource(Wide(), n)
    [(whole, _)] = [*source.fakes(PLANE, 0, n, range(64))]
    shares = [range(n * i // parts, n * (i + 1) // parts) for i in range(parts)]
    drawn = torch.cat([x for share in shares for x, _ in source.fakes(PLANE, 0, batch_size, share)])
    assert len(drawn) == len(drawn.unique(dim=0)) == n
    assert torch.equal(drawn[:64], whole)
    assert torch.equal(drawn, torch.cat([x for x, _ in source.fakes(PLANE, 0, 64, range(n))]))

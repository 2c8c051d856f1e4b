"""The suite of tables is honest: every score has what real data has and what independent columns have beside it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from genkit.assembly.metric_config import metrics_of
from genkit.commands.evaluate import SUITES
from genkit.config.hydra.launch import compose_option
from genkit.data.sources.table import Table
from genkit.evaluation.baseline import baselines_of
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.record import Record
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures


@pytest.fixture(scope="module")
def scores() -> Mapping[str, Mapping[str, Record]]:
    """By baseline and metric, on an embedded table."""
    data = Table(val=0.1, test=0.4)
    suite = metrics_of(compose_option("metric", SUITES["table"]), ())
    evaluator = Evaluator(suite, RawFeatures("std"), Reference.of(data, "wine"), named=False, floor_repeats=3)
    found: dict[str, dict[str, Record]] = {}
    for record in evaluator.score_baselines(71, ("copies", "marginals", "gaussian", "real")):
        found.setdefault(record.source, {})[record.metric] = record
    return found


def test_independent_columns_stand_beside_by_default():
    assert baselines_of(Table().spec, None) == ("gaussian", "marginals", "real")


def test_every_score_of_samples_has_a_floor(scores):
    for name in ("training copies", "column marginals", "column Gaussian"):
        assert list(scores[name]) == [
            "column_shapes", "pair_trends", "detection", "efficacy", "privacy", "exact_copies",
        ]  # fmt: skip
        assert all(record.floor is not None for record in scores[name].values())
    assert {"column_shapes", "pair_trends", "detection", "efficacy"} <= scores["real data"].keys()


def test_copies_are_best_in_all_but_privacy(scores):
    copies = scores["training copies"]
    for metric in ("column_shapes", "pair_trends", "detection", "efficacy"):
        record = copies[metric]
        spread = 3 * record.floor.sd + 0.02
        assert abs(record.value - record.floor.mean) < spread, metric
        sign = 1 if record.direction == "max" else -1
        others = [sign * found[metric].value for name, found in scores.items() if name != copies[metric].source]
        assert sign * record.value > max(others) - spread, metric
    assert copies["privacy"].value == 1.0
    assert copies["privacy"].ci95[0] > 0.9
    assert "copies?" in "".join(copies["privacy"].warnings)
    assert copies["exact_copies"].value == 1.0
    assert copies["exact_copies"].floor.mean == 0.0


def test_independent_columns_have_good_shapes_and_are_found_out(scores):
    marginals = scores["column marginals"]
    floors = {name: record.floor for name, record in marginals.items()}
    assert abs(marginals["column_shapes"].value - floors["column_shapes"].mean) < 0.05
    assert marginals["pair_trends"].value < floors["pair_trends"].mean - 3 * floors["pair_trends"].sd
    assert marginals["detection"].value > floors["detection"].mean + 0.2
    assert marginals["efficacy"].value < floors["efficacy"].mean - 0.2
    assert marginals["privacy"].ci95[0] < 0.5 < marginals["privacy"].ci95[1]

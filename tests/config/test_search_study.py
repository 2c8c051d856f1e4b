"""A study that several processes search: who works at a trial, and what becomes of it when that process is gone."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna")

from hydra.core.override_parser.overrides_parser import OverridesParser  # noqa: E402

from genkit.config.hydra.search.options import SearchOptions  # noqa: E402
from genkit.config.hydra.search.samplers import make_pruner  # noqa: E402
from genkit.config.hydra.search.space import space_of  # noqa: E402
from genkit.config.hydra.search.storage import file_of, require_optuna, url_of, without_password  # noqa: E402
from genkit.config.hydra.search.study import (  # noqa: E402
    BEATEN,
    GRACE,
    OWNER,
    SCHEMA,
    SearchStudy,
    check_same,
    existing,
    has_failed,
    reporter,
)
from genkit.config.hydra.search.trial_address import TrialAddress  # noqa: E402
from genkit.errors import ConfigError  # noqa: E402
from genkit.storage.process import current  # noqa: E402

SPACE, _ = space_of(OverridesParser.create().parse_overrides(["a=interval(0,1)", "b=range(9)"]))
ABOUT: dict[str, Any] = {
    "schema": SCHEMA,
    "space": SPACE.record(),
    "objectives": ["monitor"],
    "modes": ["min"],
    "identity": {"config_sha256": "0", "max_steps": 1},
}
STORAGES = [None, "journal"]


def joined(folder: Path, storage: str | None = None, **options: Any) -> SearchStudy:
    require_optuna()
    chosen = replace(SearchOptions(), **options)
    return SearchStudy(url_of(storage, folder), "S", ABOUT, chosen, SPACE, make_pruner(None, 1, 1))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_trial_of_a_dead_process_is_asked_for_again_once(tmp_path: Path, storage: str | None) -> None:
    """Two processes find it; one trial of the same values waits, and nothing of what was complete changes."""
    dead = joined(tmp_path, storage)
    whole, broken = dead.ask(), dead.ask()
    assert whole is not None
    assert broken is not None
    dead.note(broken.number, "folder", "1-a")
    dead.tell(whole.number, [0.5], {"score": 0.5})
    dead.note(broken.number, OWNER, asdict(replace(current(), pid=2**22 + 1)))
    first, second = joined(tmp_path, storage), joined(tmp_path, storage)
    (found,) = [trial for trial in first.trials() if first.is_abandoned(trial)]
    assert found.number == broken.number
    first.take_back(found.number)
    second.take_back(found.number)
    first.ask_again(lambda trial: True)
    second.ask_again(lambda trial: True)
    again, other = second.ask(), first.ask()
    assert again is not None
    assert other is not None
    assert (again.params, again.user_attrs["folder"]) == (broken.params, "1-a")
    assert other.params != broken.params
    assert [(trial.number, trial.state.name) for trial in first.trials()] == [
        (0, "COMPLETE"), (2, "RUNNING"), (3, "RUNNING"),
    ]  # fmt: skip


def test_a_trial_that_is_given_up_goes_on_and_one_that_failed_does_not(tmp_path: Path) -> None:
    """As by a signal to the command; what failed by itself would fail again."""
    study = joined(tmp_path, "journal")
    left, failed = study.ask(), study.ask()
    assert left is not None
    assert failed is not None
    study.give_up(left.number)
    study.tell(failed.number, None, {"line": "error: …"})
    assert [has_failed(trial) for trial in study.trials()] == [False, True]
    study.ask_again(lambda trial: False)
    again, new = study.ask(), study.ask()
    assert again is not None
    assert new is not None
    assert again.params == left.params
    assert new.params not in (left.params, failed.params)


def test_owners_are_gone_where_that_is_proven_or_where_they_are_silent(tmp_path: Path) -> None:
    study, other = joined(tmp_path), joined(tmp_path)
    here, now = current(), time.time()
    cases = {
        "this process runs it": (here, None, False),
        "another one here lives": (replace(here, pid=os.getppid(), start=None), None, False),
        "another one here is dead": (replace(here, pid=2**22 + 1), None, True),
        "one elsewhere has just spoken": (replace(here, host="elsewhere"), now - GRACE / 2, False),
        "one elsewhere is silent": (replace(here, host="elsewhere"), now - 2 * GRACE, None),
    }
    for said, (owner, heard, gone) in cases.items():
        trial = study.ask()
        assert trial is not None
        study.note(trial.number, OWNER, asdict(owner))
        if heard is not None:
            study.note(trial.number, BEATEN, heard)
        asker = study if said == "this process runs it" else other
        (found,) = [each for each in asker.trials() if each.number == trial.number]
        if gone is None:  # long after it was asked for
            found.datetime_start = None
        assert asker.is_abandoned(found) is bool(gone is None or gone), said


def test_no_two_trials_have_the_same_randomness_and_a_search_is_reproducible(tmp_path: Path) -> None:
    """Two processes that ask in turn suggest what one would, and never the same twice."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    alone = joined(tmp_path / "one", sampler="random")
    first, second = (joined(tmp_path / "two", sampler="random") for _ in range(2))
    asked = [(alone.ask(), (first if i % 2 else second).ask()) for i in range(6)]
    values = [(a.params["a"], b.params["a"]) for a, b in asked if a is not None and b is not None]
    assert [a for a, _ in values] == [b for _, b in values]
    assert len({a for a, _ in values}) == 6


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_samplers_learn_from_what_other_processes_completed(tmp_path: Path, sampler: str) -> None:
    """Of a parabola: the later half of the trials is nearer to its minimum than the first few."""
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    studies = [joined(tmp_path, "journal", sampler=sampler) for _ in range(2)]
    distances = []
    for i in range(40):
        trial = studies[i % 2].ask()
        assert trial is not None
        distance = (trial.params["a"] - 0.3) ** 2 + (trial.params["b"] / 8 - 0.5) ** 2
        studies[i % 2].tell(trial.number, [distance], {})
        distances.append(distance)
    assert sorted(distances[20:])[10] < sorted(distances[:10])[5] / 2


@pytest.mark.parametrize("storage", STORAGES)
def test_a_job_reports_from_another_process(tmp_path: Path, storage: str | None) -> None:
    """With the address alone; the median of five others decides."""
    study = joined(tmp_path, storage)
    for value in range(6):
        trial = study.ask()
        assert trial is not None
        address = TrialAddress(study.url, "S", trial.number, "median", 1, 9, False)
        report = reporter(address)
        told = [report(step, value + 1 / step) for step in (1, 2)]
        if value < 5:
            study.tell(trial.number, [float(value)], {})
    assert told == [True, True]
    (last,) = [each for each in study.trials() if each.state.name == "RUNNING"]
    assert last.intermediate_values == {1: 6.0, 2: 5.5}


CHANGES = {
    "of another space: b had other values": {"space": {"a": ABOUT["space"]["a"], "b": {}}},
    "of another space: b is not searched here": {"space": {"a": ABOUT["space"]["a"]}},
    "of another space: c was not searched": {"space": {**ABOUT["space"], "c": {}}},
    "of other objectives": {"objectives": ["parameters"]},
    "of other directions": {"modes": ["max"]},
    "of other settings": {"identity": {"config_sha256": "1", "max_steps": 1}},
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_study_of_another_search_is_refused(tmp_path: Path, said: str) -> None:
    study = joined(tmp_path, "journal")
    found = existing(study.url, "S")
    assert found is not None
    check_same(found, study.url, ABOUT)
    with pytest.raises(ConfigError, match=said):
        check_same(found, study.url, {**ABOUT, **CHANGES[said]})


def test_a_grid_gives_each_point_once(tmp_path: Path) -> None:
    space, _ = space_of(OverridesParser.create().parse_overrides(["a=x,y", "b=range(0.1,0.35,0.1)"]))
    require_optuna()
    about, options = {**ABOUT, "space": space.record()}, replace(SearchOptions(), sampler="grid")
    studies = [
        SearchStudy(url_of("journal", tmp_path), "S", about, options, space, make_pruner(None, 1, 1)) for _ in "ab"
    ]
    asked = [studies[i % 2].ask() for i in range(7)]
    assert asked[6] is None
    assert [trial.params for trial in asked[:6] if trial is not None] == list(space.points())


def test_names_of_storages(tmp_path: Path) -> None:
    """Files of any name, the same from every working directory; a password is not shown."""
    odd = tmp_path / "a, b?c=d%20#é"
    odd.mkdir()
    study = joined(odd)
    assert (file_of(study.url), [path.name for path in odd.iterdir()]) == (odd / "study.db", ["study.db"])
    assert existing(url_of(None, tmp_path), "S") is None
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]  # a question makes nothing
    assert url_of("sqlite:///x.db", tmp_path) == f"sqlite:///{Path.cwd() / 'x.db'}"
    assert url_of("journal:///a/b.log", tmp_path) == "journal:///a/b.log"
    assert without_password("postgresql://ada:secret@host/db") == "postgresql://ada:…@host/db"

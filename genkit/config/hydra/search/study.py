"""The study of a search: which trials there are, who works at them, and what each ended with.

Several processes, of one machine or of several, may search one study. A trial that runs names its owner, the process
that launched it, which says every `BEAT` seconds that it lives. An owner is gone where its end is proven (same host),
or where it has been silent for `GRACE` seconds. Its trial is then noted as failed and asked for again, with the same
values and the same run folder, so that the training goes on where it broke. Of several processes that find it one gets
it.

Everything here is optuna's public interface but for `_trial_id`, which a storage wants for reports of other processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from genkit.config.hydra.search.options import SearchOptions
from genkit.config.hydra.search.samplers import SeededByTrial, make_pruner
from genkit.config.hydra.search.space import Space, Value
from genkit.config.hydra.search.storage import file_of, open_storage, storage_trouble, without_password
from genkit.config.hydra.search.trial_address import TrialAddress
from genkit.errors import ConfigError, StorageError
from genkit.printing import shown
from genkit.storage.process import Process, current

BEAT, GRACE = 20.0, 120.0  # seconds
SCHEMA = "genkit.study/1"
ABOUT = "genkit"  # attribute of a study
OWNER, BEATEN, FOLDER, RESULT, CONTINUES = "owner", "alive", "folder", "result", "continues"  # of a trial
FAILED = "failed"  # in its result
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}


def existing(url: str, name: str) -> Study | None:
    """The study of a name, None where there is none; nothing is made."""
    file = file_of(url)
    if file is not None and not file.exists():
        return None
    storage = open_storage(url)
    with storage_trouble(url):
        if name not in optuna.get_all_study_names(storage):
            return None
        return optuna.load_study(study_name=name, storage=storage)


def check_same(study: Study, url: str, about: Mapping[str, Any]) -> None:
    """Raises ConfigError where a study is of another space, other settings or other objectives."""
    with storage_trouble(url):
        found = study.user_attrs.get(ABOUT)
    at, other = f"search.storage={without_password(url)}: study {shown(study.study_name)}", "name another run_dir="
    if not isinstance(found, Mapping) or found.get("schema") != SCHEMA:
        raise ConfigError(f"{at}: not of a search by this genkit: {other}")
    before, now = found.get("space"), about["space"]
    if isinstance(before, Mapping) and before != now:
        key = next(key for key in [*before, *now] if before.get(key) != now.get(key))
        change = "was not searched" if key not in before else "had other values"
        change = change if key in now else "is not searched here"
        raise ConfigError(f"{at}: of another space: {shown(key)} {change}: {other}")
    for what, said in (("objectives", "objectives"), ("modes", "directions"), ("identity", "settings")):
        if found.get(what) != about[what]:
            raise ConfigError(f"{at}: of other {said}: {other}, or type the command as it was")


class SearchStudy:
    """A study that this process takes part in.

    Attributes:
        url: Of its storage.
        name: In the storage.
        mine: The trials that this process runs, by number.
    """

    def __init__(
        self, url: str, name: str, about: Mapping[str, Any], options: SearchOptions, space: Space, pruner: BasePruner
    ) -> None:
        """Join the study of a name, made where there is none.

        Raises:
            ConfigError: it is of another search.
            StorageError: its storage cannot be used.
        """
        storage = open_storage(url)
        with storage_trouble(url):
            self._study = optuna.create_study(
                storage=storage,
                study_name=name,
                load_if_exists=True,
                sampler=SeededByTrial(options),
                pruner=pruner,
                directions=[DIRECTIONS[mode] for mode in about["modes"]],
            )
            if ABOUT not in self._study.user_attrs and not self._study.get_trials(deepcopy=False):
                self._study.set_user_attr(ABOUT, dict(about))
        check_same(self._study, url, about)
        self.url, self.name = url, name
        self._options, self._space = options, space
        self.mine: dict[int, Trial] = {}
        self._stop = threading.Event()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Say that the owner of its trials lives, as long as the block runs."""
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            for trial in list(self.mine.values()):
                with suppress(Exception):  # it ended meanwhile, or the database is busy
                    trial.set_user_attr(BEATEN, time.time())

    def trials(self) -> list[FrozenTrial]:
        """All trials but those that another one goes on with, and those that broke before they had values."""
        with storage_trouble(self.url):
            found = self._study.get_trials(deepcopy=False)
        replaced = {trial.user_attrs.get(CONTINUES) for trial in found}
        empty = (trial.number for trial in found if trial.state == TrialState.FAIL and not trial.params)
        return [trial for trial in found if trial.number not in {*replaced, *empty}]

    def ask(self) -> Trial | None:
        """A new trial, or one that waits to go on; None where a grid has no point left."""
        with storage_trouble(self.url):
            if self._options.sampler == "grid" and not self._enqueue_point():
                return None
            trial = self._study.ask(self._space.distributions())
            trial.set_user_attr(OWNER, asdict(current()))
            self.mine[trial.number] = trial
            return trial

    def _enqueue_point(self) -> bool:
        """Put the first point of the grid that no trial has among those that wait, unless one does."""
        trials = self.trials()
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        seen = [params_of(trial) for trial in trials]
        point = next((point for point in self._space.points() if point not in seen), None)
        if point is not None:
            self._study.enqueue_trial(point)
        return point is not None

    def note(self, number: int, key: str, value: Any) -> None:
        """Set an attribute of a trial of this process."""
        with storage_trouble(self.url):
            self.mine[number].set_user_attr(key, value)

    def tell(
        self, number: int, values: Sequence[float] | None, result: Mapping[str, Any], pruned: bool = False
    ) -> None:
        """End a trial of this process: complete with these values, pruned, or failed where there are none."""
        trial, failed = self.mine.pop(number), values is None and not pruned
        with storage_trouble(self.url):
            trial.set_user_attr(RESULT, {**result, FAILED: failed})
            if pruned or failed:
                self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
            else:
                self._study.tell(trial, [*(values or ())])

    def give_up(self, number: int) -> None:
        """Leave a trial of this process to the next one."""
        del self.mine[number]
        self.take_back(number)

    def take_back(self, number: int) -> None:
        """End a trial that broke, whose values are then asked for again; nothing where another process did that."""
        with suppress(ValueError, RuntimeError, StorageError), storage_trouble(self.url):
            self._study.tell(number, state=TrialState.FAIL)

    def ask_again(self, may_go_on: Callable[[FrozenTrial], bool]) -> None:
        """Put the values of trials that broke, and did not fail by themselves, among those that wait.

        Args:
            may_go_on: Tells whether the run folder of a trial can be continued; else it begins again.
        """
        for trial in self.trials():
            if trial.state == TrialState.FAIL and trial.params and not has_failed(trial):
                attrs = {CONTINUES: trial.number}
                if FOLDER in trial.user_attrs and may_go_on(trial):
                    attrs[FOLDER] = trial.user_attrs[FOLDER]
                with storage_trouble(self.url):
                    self._study.enqueue_trial(trial.params, user_attrs=attrs)

    def is_abandoned(self, trial: FrozenTrial) -> bool:
        """Tell whether the process that works at a trial is gone."""
        if trial.state != TrialState.RUNNING or trial.number in self.mine:
            return False
        owner, started = trial.user_attrs.get(OWNER), trial.datetime_start
        since = started.timestamp() if started is not None else 0.0
        if owner is None:  # it was asked for, and its owner not noted
            return time.time() - since > GRACE
        process = Process(**owner)
        if process == current():
            return True  # of an earlier search in this process
        if process.is_here():
            return process.is_dead()
        return time.time() - max(float(trial.user_attrs.get(BEATEN, 0.0)), since) > GRACE


def has_failed(trial: FrozenTrial) -> bool:
    """Tell whether a trial failed by itself; else its process broke off, and another trial goes on with it."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(RESULT, {}).get(FAILED))


def params_of(trial: FrozenTrial) -> dict[str, Value]:
    """The values of a trial, also of one that waits."""
    return dict(trial.params or trial.system_attrs.get("fixed_params", {}))


def reporter(address: TrialAddress) -> Callable[[int, float], bool]:
    """A function that reports a validation of a trial, and tells whether it is to be ended."""
    storage = open_storage(address.storage)
    pruner = make_pruner(address.pruner, address.least, address.most)
    with storage_trouble(address.storage):
        study = optuna.load_study(study_name=address.study, storage=storage, pruner=pruner)

    def report(step: int, value: float) -> bool:
        with storage_trouble(address.storage):
            trial = next(one for one in study.get_trials(deepcopy=False) if one.number == address.number)
            storage.set_trial_intermediate_value(trial._trial_id, step, value)
            reported = next(one for one in study.get_trials(deepcopy=False) if one.number == address.number)
            return pruner.prune(study, reported)

    return report

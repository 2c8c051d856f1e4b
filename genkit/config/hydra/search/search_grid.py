"""Run the trials of a search: ask for values, train with them, tell what came of it, until enough are done.

A trial is a job of a sweep, `genkit train …` with values that a sampler chose; its run folder, its row and its process
are those of any job. What is known of all trials is in the study, so every process that searches it has the same table,
and a process that is killed takes nothing with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, Trial, TrialState

from genkit.checkpoint import lock
from genkit.config.hydra.grid import ORPHANS, Compose, JobGrid, Launch, refuse_no_sweep, without
from genkit.config.hydra.job_kind import SearchKind
from genkit.config.hydra.paths import quoted
from genkit.config.hydra.search.options import MONITOR, OPTUNA, SEARCH, worst
from genkit.config.hydra.search.plan import SearchPlan, plan_of
from genkit.config.hydra.search.samplers import make_pruner
from genkit.config.hydra.search.space import Space, shown_values, words_of
from genkit.config.hydra.search.storage import open_storage, url_of
from genkit.config.hydra.search.study import (
    COUNTED,
    FOLDER,
    RESULT,
    SCHEMA,
    SearchStudy,
    check_same,
    existing,
    has_failed,
    params_of,
)
from genkit.config.hydra.search.trial_address import TrialAddress
from genkit.config.hydra.sweep import (
    DIVERGED,
    DONE,
    INTERRUPTED,
    PRUNED,
    RUNNING,
    SKIPPED,
    Sweep,
    SweepJob,
    job_name,
    label_of_values,
)
from genkit.config.hydra.sweep_display import headline
from genkit.config.hydra.sweep_index import SweepIndex
from genkit.config.settings import Settings
from genkit.errors import ConfigError, GenkitError
from genkit.printing import shown
from genkit.storage.disk import storage_errors
from genkit.storage.exclusive import make_stamped
from genkit.storage.turns import own_turn

if TYPE_CHECKING:
    from genkit.config.hydra.launch import SweepTask

LOOK = 1.0  # seconds between looks at a study in which others have to end something first
TURN = ".study.lock"  # in the folder
ALIKE = 3  # trials that fail one after the other, before any is complete, and end a search
STATUS = {
    TrialState.COMPLETE: DONE,
    TrialState.PRUNED: PRUNED,
    TrialState.RUNNING: RUNNING,
    TrialState.WAITING: INTERRUPTED,
}


class SearchGrid(JobGrid):
    """The trials of one command."""

    kind: SearchKind

    def __init__(self, task: SweepTask, sweep: Sweep, kind: SearchKind) -> None:
        super().__init__(task, sweep, kind)
        self._own: dict[int, SweepJob] = {}
        self._held: dict[int, float] = {}
        self._failures: list[SweepJob] = []
        self._trouble: GenkitError | None = None
        self._told_waiting = False

    def search(
        self, space: Space, words: Sequence[str], compose: Compose, launch: Launch, other: str | None = None
    ) -> None:
        """Search until as many trials are complete as were asked for.

        Args:
            space: What is searched.
            words: The overrides of all trials.
            compose: Overrides to a composed configuration.
            launch: Runs jobs of these overrides and returns the outcome of each.
            other: The launcher, where it is not genkit's own.

        Raises:
            ConfigError: it cannot be searched, or the folder or the study is another's; or all trials fail.
            StorageError: the study cannot be reached.
        """
        self._plan = self._planned_search(space, words, compose)
        with self._joined(), self._study.alive():
            try:
                self._sync()
                print(headline(self.sweep), flush=True)
                if other is None:
                    launch(self._next_words())  # type: ignore[arg-type]
                else:
                    self._in_batches(launch, other)
            finally:
                self._leave()
        if self._trouble is not None:
            raise self._trouble

    def _planned_search(self, space: Space, words: Sequence[str], compose: Compose) -> SearchPlan:
        """The checked search, noted in the sweep."""
        first = self.task.prepare(compose([*words, *words_of(next(space.probes()))]), multirun=True)
        options, at_once = self.task.search, self.sweep.at_once  # no trial has the words of these

        def prepare(overrides: Sequence[str]) -> Settings:
            settings = self.task.prepare(compose(overrides), multirun=True)
            self.sweep.at_once = at_once
            return settings

        self._prepare = prepare
        plan = plan_of(space, words, first, options, prepare)
        self.sweep.sweeper, self.sweep.asked = OPTUNA, plan.trials
        self.sweep.score, self.sweep.mode = plan.monitor, plan.mode
        names = (plan.monitor if name == MONITOR else name for name in options.objectives)
        self.sweep.objectives = tuple(names)
        return plan

    @contextmanager
    def _joined(self) -> Iterator[None]:
        """The folder and the study, joined where they stand and made where they are missing."""
        plan, named = self._plan, getattr(self._plan.settings, self.kind.key)
        about = plan.about(self.kind.fingerprint(plan.settings), SCHEMA)
        new = named is None or not Path(named).exists()
        folder = self._new_folder() if named is None else self._named_folder(Path(named), about)
        self.sweep.folder = folder
        try:
            self.index = SweepIndex(folder, self.sweep.verb, OPTUNA)
            url, pruner = url_of(plan.options.storage, folder), make_pruner(plan.options.pruner, *plan.steps)
            with self._turn():
                self._study = SearchStudy(url, study_name(folder), about, plan.options, plan.space, pruner)
        except GenkitError:
            with suppress(OSError):
                if new:
                    folder.rmdir()  # nothing came of it
            raise
        yield

    def _new_folder(self) -> Path:
        if self._plan.options.storage is not None:
            open_storage(url_of(self._plan.options.storage, Path.cwd()))  # refused before anything is made
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return make_stamped(Path("outputs", self.sweep.verb, f"{stamp}-{SEARCH}"), lambda _: None)

    def _named_folder(self, folder: Path, about: Mapping[str, Any]) -> Path:
        """The folder, made where it is missing; refused before that where it, or its study, is another's."""
        refuse_no_sweep(folder, self.kind.key)
        SweepIndex(folder, self.sweep.verb, OPTUNA)
        url = url_of(self._plan.options.storage, folder)
        if (found := existing(url, study_name(folder))) is not None:
            check_same(found, url, about)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _leave(self) -> None:
        """Leave what this process did not end to the next one, and conclude."""
        for number in list(self._study.mine):
            self._study.give_up(number)
        self._sync()
        self._conclude()

    def _turn(self) -> AbstractContextManager[None]:
        assert self.sweep.folder is not None
        return own_turn(self.sweep.folder / TURN, lambda: None)

    # --- trials

    def _next_words(self) -> Iterator[tuple[str, ...] | None]:
        """The words of one trial after the other, None while others have to end something first."""
        looked = float("-inf")
        while self._trouble is None:
            if time.monotonic() - looked < LOOK:
                yield None
                continue
            try:
                job, enough = self._next()
            except GenkitError as error:
                self._trouble = error
                return
            if enough:
                return
            looked = time.monotonic() if job is None else float("-inf")
            yield None if job is None else job.words

    def _next(self) -> tuple[SweepJob | None, bool]:
        """The next trial to train, None where there is none now; and whether enough are complete."""
        with self._turn():
            self._take_back()
            while True:
                trials = self._study.trials()
                counted = sum(trial.state in COUNTED for trial in trials)
                running = sum(trial.state == TrialState.RUNNING for trial in trials)
                asked = self.sweep.asked or 0
                if counted >= asked or self._gives_up(counted):
                    return None, True
                trial = self._study.ask() if counted + running < asked else None
                if trial is None:
                    self._sync()
                    self._tell_waiting(running)
                    return None, running == 0
                job = self._job_of(trial, trials)
                if not job.finished:
                    self._sync()
                    return job, False
                self._settle(job)

    def _take_back(self) -> None:
        """Ask again for the trials of processes that are gone."""
        for trial in self._study.trials():
            if self._study.is_abandoned(trial) and not self._is_held(trial):
                print(f"genkit: trial {trial.number}: its process is gone: it is taken over", flush=True)
                self._study.take_back(trial.number)
        self._study.ask_again(lambda trial: not self._lives(trial))

    def _is_held(self, trial: FrozenTrial) -> bool:
        """Tell whether a job that outlived its command still works in the run folder, for a while at most."""
        first = self._held.setdefault(trial.number, time.monotonic())
        return self._lives(trial) and time.monotonic() - first < ORPHANS

    def _lives(self, trial: FrozenTrial) -> bool:
        folder = trial.user_attrs.get(FOLDER)
        return isinstance(folder, str) and lock.living_owner(self._path(folder)) is not None

    def _path(self, name: str) -> Path:
        assert self.sweep.folder is not None
        return self.sweep.folder / os.path.basename(name)

    def _job_of(self, trial: Trial, trials: Sequence[FrozenTrial]) -> SweepJob:
        """The job of a trial; it is finished already where another trial of the same values has its result."""
        words = self._plan.words_at(trial.params)
        job = SweepJob(trial.number, tuple(words), shown_values(trial.params))
        self._own[job.number] = self.sweep.jobs[job.number] = job
        twin = next((t for t in trials if t.state == TrialState.COMPLETE and t.params == trial.params), None)
        folder = (twin.user_attrs if twin is not None else trial.user_attrs).get(FOLDER)
        name = folder if isinstance(folder, str) else job_name(job.number, label_of_values(job.values))
        job.folder = self._path(name)
        self._study.note(job.number, FOLDER, job.folder.name)
        if twin is not None:
            _fill(job, twin.user_attrs.get(RESULT, {}))
            job.status = SKIPPED
            return job
        settings = self._prepare(words)
        if not self.kind.goes_on(job, settings, job.folder):
            if job.folder.exists():  # of another search, whose study is no more
                job.folder = self._path(job_name(f"{job.number}-{os.getpid()}", label_of_values(job.values)))
                self._study.note(job.number, FOLDER, job.folder.name)
            job.words = (*without(words, self.kind.key), f"{self.kind.key}={quoted(str(job.folder))}")
        if job.status == SKIPPED:
            self.kind.refresh(job, self.sweep)
        elif (address := self._address(job.number)) is not None:
            job.words += (address.word,)
        return job

    def _address(self, number: int) -> TrialAddress | None:
        """The address that a training needs of its trial, None where it needs none."""
        options, measured = self._plan.options, "sampling_seconds" in self._plan.options.objectives
        if options.pruner is None and not measured:
            return None
        return TrialAddress(self._study.url, self._study.name, number, options.pruner, *self._plan.steps, measured)

    def ended(self, job: SweepJob, code: int, line: str = "", seconds: float | None = None) -> None:
        super().ended(job, code, line, seconds)
        self._settle(job)
        self._sync()
        self._write_index()

    def _settle(self, job: SweepJob) -> None:
        """Tell the study what became of a trial of this process."""
        if job.number not in self._study.mine:
            return
        try:
            if job.status == INTERRUPTED:
                self._study.give_up(job.number)
                return
            values = self._values(job)
            if values is None and job.status != PRUNED:
                self._failures.append(job)
            self._study.tell(job.number, values, _result(job), pruned=job.status == PRUNED)
        except GenkitError as error:
            self._trouble = error

    def _values(self, job: SweepJob) -> list[float] | None:
        """The objectives of a trial, None where it failed; one that diverged is worse than any."""
        alone = len(self._plan.options.objectives) == 1
        if job.exit_code == DIVERGED and alone:
            return [worst(self._plan.modes[0])]
        if job.status not in (DONE, SKIPPED):
            return None
        found = {MONITOR: job.score, **job.costs}
        values = [found.get(name) for name in self._plan.options.objectives]
        if any(value is None for value in values) and not alone:
            return None
        return [worst(mode) if value is None else value for value, mode in zip(values, self._plan.modes, strict=True)]

    def _gives_up(self, counted: int) -> bool:
        """Tell whether so many trials failed that more would too."""
        failures = self._failures
        if len(failures) < ALIKE or (counted > 0 and len(failures) < (self.sweep.asked or 0)):
            return False
        last = failures[-1].line or failures[-1].status
        self._trouble = ConfigError(f"{SEARCH}: {len(failures):,} trials failed, the last one with: {shown(last, 300)}")
        return True

    def _tell_waiting(self, running: int) -> None:
        others = running - len(self._study.mine)
        if others > 0 and not self._study.mine and not self._told_waiting:
            self._told_waiting = True
            print(f"genkit: waiting for {others:,} trial{'s' * (others > 1)} of other processes", flush=True)

    def _in_batches(self, launch: Launch, other: str) -> None:
        """By a launcher that returns when all jobs that it was given have ended."""
        words = self._next_words()
        ended = False
        while not ended:
            batch = list[tuple[str, ...]]()
            while len(batch) < self.sweep.at_once and not ended:
                found = next(words, ())
                if found is None:
                    break
                ended = found == ()
                batch += [found] if found else []
            if not batch:
                time.sleep(0 if ended else LOOK)
                continue
            jobs = [self.job_of(each) for each in batch]
            for job in jobs:
                self.started(job)
            for job, outcome in zip(jobs, self._launched(jobs, launch, other), strict=True):
                if job.exit_code is None:
                    self.ended(job, outcome.code, outcome.line)

    # --- what is known of all trials

    def _sync(self) -> None:
        """Bring the rows up to what the study knows."""
        rows = dict[int, SweepJob]()
        for trial in self._study.trials():
            job = self._own.get(trial.number)
            if job is None:
                job = SweepJob(trial.number, (), shown_values(params_of(trial)))
                job.status = STATUS.get(trial.state, "exit 1" if has_failed(trial) else INTERRUPTED)
                folder = trial.user_attrs.get(FOLDER)
                job.folder = self._path(folder) if isinstance(folder, str) else None
                _fill(job, trial.user_attrs.get(RESULT, {}))
            rows[job.number] = job
        self.sweep.jobs = rows
        self.sweep.mark_pareto_set()


def study_name(folder: Path) -> str:
    """The name of the study of a folder, in a storage that may hold others."""
    return Path(os.path.abspath(folder)).name


RESULTS = ("status", "exit_code", "line", "score", "costs", "step", "steps", "seconds", "label")


def _result(job: SweepJob) -> dict[str, Any]:
    """The record that a study keeps of a trial."""
    return {name: getattr(job, name) for name in RESULTS}


def _fill(job: SweepJob, result: Mapping[str, Any]) -> None:
    for name in RESULTS:
        if name in result:
            setattr(job, name, result[name])

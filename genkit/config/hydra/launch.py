"""A verb as a Hydra application that writes nothing, prints no Hydra noise, and leaves genkit's exit codes.

Hydra composes the configuration and spells out the sweep; errors are ours. A job never raises out of its task, since
Hydra would print its own report and a sweep would stop: the task records the failure, and `launch` returns its code.
"""

from __future__ import annotations

import importlib
import math
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from genkit.component import PositiveInt
from genkit.config.hydra.app import beside_another, run_app
from genkit.config.hydra.catalog import Catalog, conf_dir, with_nulls
from genkit.config.hydra.closed_keys import faults
from genkit.config.hydra.correction import Corrector
from genkit.config.hydra.default_run import newest_for
from genkit.config.hydra.explanation import explain, key_of
from genkit.config.hydra.failure import Failure, tell
from genkit.config.hydra.paths import quoted
from genkit.config.hydra.precheck import precheck
from genkit.config.hydra.search.options import OPTUNA, SEARCH, SWEEPER, TRIAL, SearchOptions
from genkit.config.hydra.search.storage import require_optuna
from genkit.config.hydra.search.trial_address import TrialAddress, address_in, as_trial
from genkit.config.hydra.seed import with_drawn_seeds
from genkit.config.hydra.sweep import DONE, Sweep, current_sweep, sweeping, swept_keys
from genkit.config.hydra.sweep_table import near, print_table
from genkit.config.hydra.unambiguous import accepted, doubtful, in_full
from genkit.config.hydra.words import Words
from genkit.config.names import TARGET, current
from genkit.config.schema import is_node, read
from genkit.config.settings import Settings, settings_of
from genkit.environment import this_launch
from genkit.errors import ConfigError, GenkitError
from genkit.printing import shell_word

if TYPE_CHECKING:
    from genkit.config.hydra.grid import JobGrid

AT_ONCE = "sweep.jobs"
LAUNCHER = "hydra/launcher"
TRIAL_KEY = TRIAL.rpartition(".")[2]
SIGNALS = 128  # exit codes above are of signals


@dataclass(frozen=True)
class Job:
    """The running job, as Hydra knows it.

    Attributes:
        multirun: Whether it is one of a sweep whose jobs are not matched; a matched one is a command of its own.
        number: Its number in the sweep, from 0.
        overrides: Its overrides as Hydra's grammar writes them (paths quoted).
    """

    multirun: bool
    number: int
    overrides: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys and groups that the user typed: ("model", "optimizer.lr")."""
        return tuple(key_of(word) for word in self.overrides if key_of(word) != TRIAL)


def current_job() -> Job:
    """The job that runs now; without Hydra, a job of no overrides."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized():
        return Job(multirun=False, number=0, overrides=())
    config = HydraConfig.get()
    multirun = config.mode == RunMode.MULTIRUN and not current_sweep().verb
    return Job(multirun, config.job.num if multirun else 0, tuple(config.overrides.task))


def compose_option(group: str, option: str) -> Any:
    """The node of one option of a group, from the folders of the running job.

    `compose_option("metric", "suite/image")` is {"fid": {...}, ...}; `compose_option("backbone", "unet")` is one node.

    Raises:
        ConfigError: there is no such option.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    @contextmanager
    def initialised() -> Iterator[None]:
        if GlobalHydra.instance().is_initialized():
            yield
        else:
            with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
                yield

    try:
        with initialised():
            config = compose(f"{group}/{option}")
    except HydraException as error:
        raise ConfigError(f"{group}={option}: {str(error).splitlines()[0]}") from error
    return OmegaConf.to_container(OmegaConf.select(config, group.replace("/", ".")), resolve=True)


def launch(verb: str, target: str, words: Words, jobs: str = "") -> int:
    """Run `target` ("module:function") under Hydra for a command line; returns the exit code.

    Args:
        verb: Of the command line.
        target: The verb's function.
        words: The command line without its verb.
        jobs: The `JobKind` of the verb ("module:class"), where it has sweeps of matched jobs.
    """
    words.overrides = in_full(words.overrides, verb)
    refuse_without_sweep(verb, words, jobs)
    if words.multirun and this_launch().size > 1:
        raise ConfigError("-m: start a sweep once, not in every process of torchrun or srun")
    catalog = Catalog.of(words)
    if words.multirun and jobs and not words.flags.keys() & {"--cfg", "-c", "--info", "-i"}:
        return sweep(SweepTask(verb, target, words, catalog), jobs)
    task = Task(verb, target, words, catalog)
    perform(task)
    return task.conclude()


def refuse_without_sweep(verb: str, words: Words, jobs: str) -> None:
    """Raises ConfigError for words of a sweep, or of a search, where there is none."""
    if "--quoted" in words.flags:
        return  # one process of a job
    for word in words.overrides:
        key = key_of(word)
        if key == TRIAL:
            raise ConfigError(f"{TRIAL}: genkit's own word for the jobs of a search: leave it out")
        of_search = key.partition(".")[0] == SEARCH or word == f"{SWEEPER}={OPTUNA}"
        if not words.multirun and (key == AT_ONCE or of_search):
            raise ConfigError(f"{word}: it is of a {'search' if of_search else 'sweep'}: add -m, or leave it out")
        if key.partition(".")[0] == SEARCH and not searching(words):
            raise ConfigError(f"{word}: it is of a search: add {SWEEPER}={OPTUNA}, or leave it out")
    if searching(words) and verb != "train":
        raise ConfigError(f"{SWEEPER}={OPTUNA}: it searches trainings: genkit train -m {SWEEPER}={OPTUNA} …")


def searching(words: Words) -> bool:
    """Tell whether the values of a command line are a space to be searched."""
    return f"{SWEEPER}={OPTUNA}" in words.overrides


def job_grid(task: SweepTask, state: Sweep, kind: Any) -> JobGrid:
    """The jobs of a sweep, or the trials of a search."""
    from genkit.config.hydra.grid import JobGrid

    if not searching(task.words):
        return JobGrid(task, state, kind)
    require_optuna()
    from genkit.config.hydra.search.search_grid import SearchGrid  # with optuna, which takes half a second

    return SearchGrid(task, state, kind)


def sweep(task: SweepTask, jobs: str) -> int:
    """Run a sweep of matched jobs, and print its table; returns the exit code."""
    from genkit.config.hydra.sweeper import register, running

    register()
    module, _, name = jobs.partition(":")
    state = Sweep(task.verb)
    grid = job_grid(task, state, getattr(importlib.import_module(module), name)())
    try:
        with sweeping(state), running(grid):
            perform(task)
    except GenkitError:
        if state.folder is not None:  # jobs were on their way
            print_table(state)
        raise
    except SystemExit as stop:
        print_table(state)
        if isinstance(stop.code, int) and stop.code > SIGNALS:
            print(stopped_line(state, stop.code, grid.kind.key), file=sys.stderr)
        raise
    print_table(state)
    return conclude_sweep(state)


def stopped_line(sweep: Sweep, code: int, key: str) -> str:
    """Say by which signal a sweep was stopped, and with which words it goes on."""
    done, name = sweep.done, signal.Signals(code - SIGNALS).name
    own = [] if sweep.folder is None or f" {key}=" in sweep.command or f"'{key}=" in sweep.command else [sweep.folder]
    again = " ".join([sweep.command, *(shell_word(f"{key}={near(folder)}") for folder in own)])
    return f"genkit: stopped by {name}: {done:,} of {sweep.total:,} jobs done; to continue: {again}"


def conclude_sweep(sweep: Sweep) -> int:
    """Print what failed; the exit code."""
    failed = [job for job in sweep.jobs.values() if job.failed]
    if not failed:
        return 0
    print(f"genkit: {len(failed):,} of {len(sweep.jobs):,} jobs failed", file=sys.stderr)
    for job in failed:
        words = " ".join(f"{key}={value}" for key, value in job.values.items())
        print(f"  job {job.number}  {job.status}  {words}: {job.line}", file=sys.stderr)
    return 0 if sweep.asked is not None else failed[0].exit_code or 1  # a search took others in their place


def call(verb: str, target: str, words: Words) -> Any:
    """Call `target` for the one job of a command line; nothing of Hydra's, of sys.argv or os.environ changes.

    Raises what the composition or the function raises.
    """
    words.overrides = in_full(words.overrides, verb)
    task = Call(verb, target, words, Catalog.of(words))
    with beside_another():
        perform(task)
    if task.error is not None:
        raise task.error
    return task.result


def perform(task: Task) -> None:
    """Compose the configuration of a task's words and call it, once, or once per job of a sweep.

    Raises ConfigError for what cannot be composed.
    """
    verb, words, catalog = task.verb, task.words, task.catalog
    strange = words.foreign or doubtful(words.overrides, catalog)
    if strange and "--quoted" not in words.flags and (line := Corrector(verb, words, catalog).message()):
        raise ConfigError(line)
    overrides = words.overrides
    if "--quoted" not in words.flags:
        overrides = with_drawn_seeds(accepted(overrides, verb, catalog, words.multirun))
    try:
        if isinstance(task, SweepTask):
            task.begin(overrides)
            own = [] if any(key_of(word) == SWEEPER for word in overrides) else [f"{SWEEPER}=genkit"]
            run_app(verb, [*words.kept_flags, *overrides, *own], task)
            return
        with _sweep_folder(words) as scratch, _told(words, overrides):
            run_app(verb, [*words.kept_flags, *overrides, *scratch], task)
    except Exception as error:  # before any job, or one that a launcher brought back from another process
        foreign = type(error).__module__.partition(".")[0] in ("hydra", "omegaconf", "antlr4", "yaml")
        if foreign or type(error) is ValueError:
            raise explain(error, verb, words, catalog) from error
        raise


@contextmanager
def _told(words: Words, overrides: Sequence[str]) -> Iterator[None]:
    """The table of a sweep whose jobs run one after the other in this process and are not matched."""
    if not words.multirun:
        yield
        return
    with sweeping(Sweep(keys=swept_keys(overrides))) as state:
        yield
        print_table(state)


@contextmanager
def _sweep_folder(words: Words) -> Iterator[list[str]]:
    """Overrides that keep the multirun.yaml, which Hydra always writes, out of the user's folders."""
    if not words.multirun:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="genkit-sweep-") as scratch:
        here = [] if any(key_of(word) == LAUNCHER for word in words.overrides) else [f"{LAUNCHER}=basic"]
        yield [f"hydra.sweep.dir={quoted(scratch)}", *here]


@dataclass
class Task:
    """The function that Hydra calls once per job."""

    verb: str
    target: str
    words: Words
    catalog: Catalog
    jobs: int = 0
    failures: list[tuple[Job, Failure]] = field(default_factory=list)
    process: int = field(default_factory=os.getpid)
    search: SearchOptions = field(default_factory=SearchOptions)
    trial: TrialAddress | None = None

    def __call__(self, config: Any) -> float | None:
        job = current_job()
        self.jobs += 1
        if job.multirun:
            print(f"genkit: job {job.number}: {' '.join(job.overrides)}", flush=True)
        try:
            settings = self.prepare(config, job.multirun)
            if job.multirun:
                current_sweep().job(job.number, job.overrides).status = DONE
            with _relaunchable(self.verb, self.words, job), as_trial(self.trial):
                value: float | None = self.function()(settings)
                return value
        except Exception as error:
            if os.getpid() != self.process:
                raise  # a launcher's worker: the exception travels back, this list does not
            debug = self.words.debug or bool(config.get("debug"))
            self.failures.append((job, tell(self.as_typed(error, config), debug)))
            if job.multirun:
                current_sweep().job(job.number, job.overrides).status = f"exit {self.failures[-1][1].code}"
        return math.inf  # the worst that a sweeper can receive: it minimises

    def as_typed(self, error: Exception, config: Any) -> Exception:
        """A refusal that begins with the name of a class begins with the words that chose it: `model=dcgan: …`."""
        for word in self.words.overrides:
            key, equals, option = word.partition("=")
            node = config.get(key) if equals and key in self.catalog.groups else None
            name = str(node.get("_target_", "")).rpartition(".")[2] if isinstance(node, Mapping) else ""
            if isinstance(error, ConfigError) and name and str(error).startswith(f"{name} "):
                return ConfigError(f"{key}={option}: {error}")
        return error

    def function(self) -> Callable[[Any], Any]:
        module, _, name = self.target.partition(":")
        found: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
        return found

    def prepare(self, config: Any, multirun: bool = False) -> Settings:
        """The settings in a composed configuration; refuses what Hydra composes and no verb can use."""
        from omegaconf import OmegaConf

        if missing := sorted(OmegaConf.missing_keys(config)):
            raise ConfigError(f"genkit {self.verb} needs {' '.join(f'{key}=…' for key in missing)}")
        for key, default in self.catalog.defaults(self.verb).items():
            node = config.get(key)
            if default is not None and not (OmegaConf.is_dict(node) and "_target_" in node):
                raise ConfigError(f"{key}: the configuration has lost this group; choose an option with {key}=…")
        take_current_names(config)
        plain = with_nulls(_plain(config), self.catalog.plugins_keys(self.verb))
        self.trial = self.take_trial(plain)
        try:
            self.refuse_unknown(plain)
            self.take_at_once(plain)
            self.search = SearchOptions.of(plain.pop(SEARCH, {}))
            settings = settings_of(self.verb, self.without_placeholders(plain))
            precheck(self.verb, settings.config, multirun)
        except ConfigError as error:
            raise self.with_next_command(error, plain) from None
        newest = newest_for(self.verb, settings.config)
        return settings if newest is None else settings.replaced(ckpt=newest)

    def take_at_once(self, config: dict[str, Any]) -> int:
        """Take `sweep.jobs`, which is the command's and no job's, out of a configuration; its value, checked."""
        sweep = dict(config.get("sweep") or {})
        if "jobs" not in sweep:
            return 1
        value: int = read(sweep.pop("jobs"), PositiveInt, AT_ONCE, lambda *_: None)
        config.pop("sweep")
        if sweep:
            config["sweep"] = sweep
        return value

    def take_trial(self, config: dict[str, Any]) -> TrialAddress | None:
        """Take the address of a trial, which no configuration knows of, out of one."""
        if TRIAL_KEY not in (config.get(SEARCH) or {}):
            return None
        return address_in(config[SEARCH].pop(TRIAL_KEY))

    def without_placeholders(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration without the null keys of a chosen group that nobody set: its option may not know them."""
        result = dict(config)
        for group, keys in self.catalog.placeholders(self.verb).items():
            if is_node(config.get(group)):
                own = config[group].items()
                result[group] = {key: value for key, value in own if key not in keys or value is not None}
        return result

    def refuse_unknown(self, config: dict[str, Any]) -> None:
        """Raises ConfigError for a key that the verb does not know, and for one that it has lost."""
        for _, text in faults(config, self.catalog.own_keys(self.verb), self.catalog.defaults(self.verb)):
            raise ConfigError(text)

    def with_next_command(self, error: ConfigError, config: dict[str, Any]) -> ConfigError:
        """The refusal of a composed value, with who set it and what to type, where that can be said."""
        key = str(error).partition(":")[0]
        own, groups = self.catalog.own_keys(self.verb), self.catalog.defaults(self.verb)
        strange = {name for name, _ in faults(config, own, groups)}
        known = own | {name: config[name] for name in {*own, *groups} - strange if name in config}
        refused = {word: str(error) for word in self.words.overrides if key_of(word) == key}
        corrector = Corrector(self.verb, self.words, self.catalog, refused, known)
        return ConfigError(corrector.message() or corrector.blamed(key, str(error)))

    def conclude(self) -> int:
        """The exit code; after a sweep, a table of what failed."""
        if not self.failures:
            return 0
        if self.jobs > 1:
            print(f"genkit: {len(self.failures):,} of {self.jobs:,} jobs failed", file=sys.stderr)
            for job, failure in self.failures:
                line = f"  job {job.number}  exit {failure.code}  {' '.join(job.overrides)}: {failure.line}"
                print(line, file=sys.stderr)
        return self.failures[0][1].code


@dataclass
class Call(Task):
    """The job of a call from Python, which keeps what the function returned or raised."""

    result: Any = None
    error: Exception | None = None

    def __call__(self, config: Any) -> None:
        try:
            settings = self.prepare(config)
            with _relaunchable(self.verb, self.words, current_job()):
                self.result = self.function()(settings)
        except Exception as error:
            self.error = self.as_typed(error, config)


class Outcome(NamedTuple):
    """The end of a job of a sweep: its exit code, and why it failed."""

    code: int
    line: str = ""


@dataclass
class SweepTask(Task):
    """A job of a sweep, in any process: a command line of its own, whose failure is its outcome.

    Attributes:
        keys: The swept keys.
        command: The sweep as it was typed.
        outcome: Of the last job that ran in this process.
        newest: The checkpoint of all jobs where none was named.
    """

    keys: tuple[str, ...] = ()
    outcome: Outcome | None = None
    newest: str | None = None

    def begin(self, overrides: Sequence[str]) -> None:
        """Note the keys of the sweep that these overrides of the command make."""
        state = current_sweep()
        self.keys = state.keys = swept_keys(overrides)
        for key in self.keys:
            if key == AT_ONCE or key.partition(".")[0] == SEARCH:
                raise ConfigError(f"{key}: it is of the whole sweep: give it one value")
        state.command = shlex.join(["genkit", *self.verb.split(), "-m", *self.words.overrides])

    def take_at_once(self, config: dict[str, Any]) -> int:
        """Note for the sweep how many of its jobs run at once."""
        current_sweep().at_once = super().take_at_once(config)
        return current_sweep().at_once

    def prepare(self, config: Any, multirun: bool = False) -> Settings:
        """As that of any job; the newest run is looked up once for all."""
        if self.newest is not None and config.get("ckpt") is None:
            config.ckpt = self.newest
        settings = super().prepare(config, multirun)
        if "ckpt" in config and config.ckpt is None:
            self.newest = settings.config["ckpt"]
        return settings

    def __call__(self, config: Any) -> Any:
        """The outcome of one job, which knows the sweep's keys wherever it runs."""
        here = current_sweep() if current_sweep().keys == self.keys else Sweep(self.verb, self.keys)
        with sweeping(here):
            try:
                settings = self.prepare(config)
                with _relaunchable(self.verb, self.words, current_job()), as_trial(self.trial):
                    self.function()(settings)
                self.outcome = Outcome(0)
            except SystemExit as stop:
                if os.getpid() == self.process:
                    raise  # a signal to the command
                self.outcome = Outcome(stop.code if isinstance(stop.code, int) else 1)
            except Exception as error:
                debug = self.words.debug or bool(config.get("debug"))
                failure = tell(self.as_typed(error, config), debug)
                self.outcome = Outcome(failure.code, failure.line)
        return self.outcome

    def alone(self, words: Sequence[str]) -> Outcome:
        """Compose and run the job of these overrides as the one job of this process."""
        flags = [flag for flag in self.words.kept_flags if flag not in ("-m", "--multirun")]
        kept = [word for word in self.words.overrides if word.startswith("hydra.searchpath=")]
        run_app(self.verb, [*flags, *words, *kept], self)
        assert self.outcome is not None
        return self.outcome


def take_current_names(config: Any) -> None:
    """Replace, in place, the earlier names of classes that moved; interpolations are followed where they lead."""
    from omegaconf import DictConfig, OmegaConf

    keys: Any = list(config) if isinstance(config, DictConfig) else range(len(config))
    for key in keys:
        if OmegaConf.is_interpolation(config, key) or OmegaConf.is_missing(config, key):
            continue
        value = config[key]
        if OmegaConf.is_config(value):
            take_current_names(value)
        elif key == TARGET and value != current(value):
            config[key] = current(value)


def _plain(config: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return plain


@contextmanager
def _relaunchable(verb: str, words: Words, job: Job) -> Iterator[None]:
    """sys.argv of this one job: a distributed strategy starts its other processes with it."""
    before = sys.argv
    folder = ["--config-dir", os.path.abspath(words.config_dir)] if words.config_dir else []
    kept = [word for word in words.overrides if word.startswith("hydra.searchpath=")]
    sys.argv = [before[0], *verb.split(), "--quoted", *folder, *job.overrides, *kept]
    try:
        yield
    finally:
        sys.argv = before

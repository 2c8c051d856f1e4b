"""One call of Hydra: its flags and overrides in, a composed configuration out to a function, errors raised.

The public entry point `hydra.main` is used. One method behind it is replaced for the call: Hydra composes every command
line twice, the first time only to read `hydra.mode`, which no YAML of genkit sets. That would take a third of the time
before torch is imported.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from genkit.config.hydra.catalog import conf_dir, primary_name
from genkit.config.hydra.quicker import quicker
from genkit.config.hydra.search.options import OPTUNA

NAMESPACE = "hydra_plugins"  # Hydra takes plugins from this package alone
PACKAGE = f"{NAMESPACE}.genkit"
OWN = {
    ("sweeper", "genkit"): f"{PACKAGE}.GridSweeper",
    ("sweeper", OPTUNA): f"{PACKAGE}.SearchSweeper",
    ("launcher", "processes"): f"{PACKAGE}.ProcessLauncher",
}

MODELESS = ("hydra/launcher=", "hydra/sweeper=")  # words of Hydra that say nothing of its mode


def run_app(verb: str, argv: Sequence[str], job: Callable[[Any], float | None]) -> None:
    """Compose `conf/<verb>.yaml` for `argv` and call `job` with it, once, or once per job of a multirun.

    Raises Hydra's errors; SystemExit where a flag (--cfg, --info) is the whole answer.
    """
    import hydra

    def task(config: Any) -> float | None:
        return job(config)

    task.__module__ = "genkit"  # Hydra names the application after it
    _offer_own_plugins()
    with _process(argv), _one_composition(argv), quicker():
        hydra.main(config_path=str(conf_dir()), config_name=primary_name(verb), version_base="1.3")(task)()


def composed(verb: str, argv: Sequence[str]) -> dict[str, Any]:
    """The configuration of a command line as it is printed by `--cfg job`: plain values, interpolations as text."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    out = io.StringIO()
    with beside_another(), contextlib.redirect_stdout(out):
        try:
            run_app(verb, ["--cfg", "job", *argv], lambda config: None)
        except SystemExit as end:
            if end.code:  # a signal's
                raise
    config: dict[str, Any] = yaml.load(out.getvalue(), loader) or {}
    return config


@contextlib.contextmanager
def beside_another() -> Iterator[None]:
    """Lets Hydra work inside a job of its own, or of the caller's: it keeps one state per process, which comes back."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    state, job = GlobalHydra.instance(), HydraConfig.instance()
    before, config, state.hydra = state.hydra, job.cfg, None
    try:
        yield
    finally:
        state.hydra, job.cfg = before, config


def _offer_own_plugins() -> None:
    """Let a configuration choose genkit's sweeper and launcher; the classes are there where one runs."""
    from hydra.core.config_store import ConfigStore

    for (group, name), target in OWN.items():
        ConfigStore.instance().store(group=f"hydra/{group}", name=name, node={"_target_": target}, provider="genkit")


@contextlib.contextmanager
def _one_composition(argv: Sequence[str]) -> Iterator[None]:
    """Answer Hydra's question for its mode without a composition, unless the command line may change it."""
    from hydra._internal.hydra import Hydra

    asked = Hydra.get_mode
    if not any("hydra" in word and not word.startswith(MODELESS) for word in argv):
        Hydra.get_mode = _no_mode  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Hydra.get_mode = asked  # type: ignore[method-assign]


def _no_mode(hydra: Any, config_name: str | None, overrides: list[str]) -> None:
    """Return None, as Hydra does where no configuration sets `hydra.mode`."""


@contextlib.contextmanager
def _process(argv: Sequence[str]) -> Iterator[None]:
    """sys.argv for Hydra, and HYDRA_FULL_ERROR so that it raises its errors instead of printing them."""
    argv_before, full_before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = [argv_before[0], *argv], "1"
    try:
        yield
    finally:
        sys.argv = argv_before
        if full_before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_before

"""Hydra's own keys: the few that genkit leaves to the user, and what to type instead of the others."""

from __future__ import annotations

from collections.abc import Sequence

from genkit.config.hydra.notations import Item
from genkit.config.hydra.search.options import OPTUNA, SWEEPER
from genkit.config.hydra.verdict import Verdict
from genkit.config.suggestions import listing, nearest_name

GRIDS = (
    "a space to search, which hydra/sweeper=genkit_optuna does, with -m; of a grid list the values (a,b), or write "
    "choice(a,b), range(1,9) or glob(*)"
)
SWEEPERS = ("genkit", OPTUNA)
# keys of Hydra that genkit leaves to the user; the rest is genkit's to set
HYDRA_KEYS = ("hydra.searchpath", "hydra.mode", "hydra.launcher", "hydra/launcher", "hydra.verbose")
HYDRA_ADVICE = {
    "hydra.run.dir": "run_dir= names the run's folder",
    "hydra.sweep.dir": "run_dir= names the sweep's folder",
    "hydra.sweep.subdir": "run_dir= names the sweep's folder",
    "hydra.job.chdir": "genkit stays in the working directory",
    "hydra.output_subdir": "genkit writes config.yaml into the run's folder",
    "hydra.sweeper": "the keys of a search are search.trials, search.sampler and others below search",
}


def hydra_verdict(item: Item, launchers: Sequence[str]) -> Verdict | None:
    """Find what is wrong with a key of Hydra; `launchers` are those that are installed."""
    key, value = item.key, item.value or ""
    if key == SWEEPER:
        near = nearest_name(value, SWEEPERS) or (OPTUNA if "optuna" in value else None)
        text = f"{item.typed}: there is no such sweeper; it has {listing(SWEEPERS)}"
        return None if value in SWEEPERS else Verdict(text, near, (f"{key}={near}",) if near else ())
    if key.startswith(HYDRA_KEYS):
        if key == "hydra/launcher" and value not in launchers:
            has = listing(launchers)
            return Verdict(f"{item.typed}: there is no such launcher; it has {has}; others are Hydra plugins", None, ())
        return None
    for known, advice in HYDRA_ADVICE.items():
        if key == known or key.startswith(known + ".") or key.replace("/", ".") == known:
            path = (f"run_dir={value}",) if advice.startswith("run_dir=") and value else ()
            return Verdict(f"{item.typed}: {advice}", None, path)
    near = nearest_name(key, [*HYDRA_KEYS, *HYDRA_ADVICE])
    right = (item.word(near),) if near in HYDRA_KEYS else ()
    if near in HYDRA_ADVICE and HYDRA_ADVICE[near].startswith("run_dir=") and value:
        right = (f"run_dir={value}",)
    advice = f"; {HYDRA_ADVICE[near]}" if near in HYDRA_ADVICE else ""
    return Verdict(f"{key}: unknown key of Hydra{advice}", near if not advice else None, right)

"""`seed=random`: a seed that is drawn when the command is typed, printed, and recorded as if it had been typed.

It replaces the word before anything reads it, so a run with such a seed is as reproducible as any.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from genkit.checkpoint.place import is_run_folder

RANDOM = "random"
LARGEST = 2**31  # as many as every library takes


def with_drawn_seeds(overrides: Sequence[str]) -> list[str]:
    """The overrides with a number for each `random` of seed=, which may be a list in a sweep.

    A run that resume=auto continues has its seed already: the word is left out.
    """
    found = []
    for word in overrides:
        key, _, value = word.partition("=")
        values = value.split(",")
        if key != "seed" or RANDOM not in values:
            found.append(word)
        elif not _continues(overrides):
            drawn = [str(secrets.randbelow(LARGEST)) if each == RANDOM else each for each in values]
            found.append(f"seed={','.join(drawn)}")
            print(f"genkit: seed={','.join(drawn)}, drawn for {word}", flush=True)
    return found


def _continues(overrides: Sequence[str]) -> bool:
    """Tell whether these words continue the run in run_dir=."""
    values = {word.partition("=")[0]: word.partition("=")[2].strip("'") for word in overrides}
    run_dir = values.get("run_dir")
    return values.get("resume") == "auto" and run_dir is not None and is_run_folder(Path(run_dir))

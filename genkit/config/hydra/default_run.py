"""`genkit sample`, `eval`, `export` and `verify` without ckpt=: the newest finished run, which is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from genkit.checkpoint.newest import newest_run
from genkit.printing import shown

OTHERS = {
    "eval": ("samples", "reference", "human"),
    "judge": ("samples", "reference", "study"),
}  # verb -> keys that say what to look at without a checkpoint
HINTS = dict.fromkeys(("eval", "judge"), ", or samples=FILE")


def newest_for(verb: str, config: Mapping[str, Any]) -> str | None:
    """The `ckpt` of a composed configuration in which neither that nor anything in its place is named, else None.

    Raises:
        ConfigError: there is no finished run.
    """
    if "ckpt" not in config or any(config.get(key) is not None for key in ("ckpt", *OTHERS.get(verb, ()))):
        return None
    return _newest(verb)


def with_newest(verb: str, argv: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The arguments of a plain verb, with ckpt= where they name no checkpoint and no key besides `keys`.

    Raises:
        ConfigError: there is no finished run.
    """
    others = [word for word in argv if not word.startswith("ckpt=")]
    known = all(word.partition("=")[0] in (*keys, "debug") and not os.path.exists(word) for word in others)
    return [*argv, f"ckpt={_newest(verb)}"] if known and len(others) == len(argv) else [*argv]


def _newest(verb: str) -> str:
    path = newest_run(verb, others=HINTS.get(verb, ""))
    if os.environ.get("RANK", "0") == "0":
        print(f"genkit: ckpt={shown(path)}, the newest finished run", file=sys.stderr, flush=True)
    return str(path)

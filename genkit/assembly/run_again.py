"""A run's own command with other words: what to type to train again with a change."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from genkit.assembly.run_facts import RunFacts
from genkit.printing import pasteable

LEFT_OUT = ("run_dir", "resume", "allow")  # keys of one command
LONGEST = 20_000  # characters of a command


def again_with(facts: RunFacts, words: Sequence[str]) -> str | None:
    """The command that began a run, with words in place of its own; None where it is not known, or no word changes."""
    command = facts.history[0].get("command")
    if not words or not isinstance(command, str) or len(command) > LONGEST:
        return None
    try:
        typed = shlex.split(command)
    except ValueError:
        return None
    if typed[:2] != ["genkit", "train"] or {"-m", "--multirun"} & {*typed}:
        return None
    changed = {_key(word) for word in words}
    kept = [word for word in typed[2:] if _key(word) not in changed and _key(word) not in LEFT_OUT]
    return pasteable("train", *kept, *words)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")

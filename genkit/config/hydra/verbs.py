"""A command line that begins with no verb of genkit -> the command that was meant. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from genkit.config.hydra.synonyms import verb_of
from genkit.config.suggestions import did_you_mean, nearest_name
from genkit.printing import pasteable


def refusal(argv: Sequence[str], verbs: Collection[str]) -> str:
    """The line that answers a command line whose first word is no verb."""
    name, *rest = argv
    if below := [verb.partition(" ")[2] for verb in verbs if verb.startswith(f"{name} ")]:
        return _second(name, rest, below)
    meant = _meant(name, rest, verbs)
    if meant is None:
        return f"there is no verb {name!r}: {', '.join(verbs)}{did_you_mean(name, verbs)}"
    words, why = meant
    return f"{why}{'' if why.endswith('?') else ';'} try: {pasteable(*words)}"


def _second(name: str, rest: Sequence[str], known: Sequence[str]) -> str:
    """The line where a verb of two words has no such second one."""
    second, *others = rest
    text = f"genkit {name} {second}: there is no such verb: {', '.join(f'{name} {word}' for word in known)}"
    later = next((word for word in others if word in known), None)
    if later is not None:
        others.remove(later)
        return f"the verb comes first: {name} {later}; try: {pasteable(name, later, second, *others)}"
    if near := nearest_name(second, known):
        return f"{text}; did you mean {near}? try: {pasteable(name, near, *others)}"
    if "=" in second:
        return f"genkit {name}: a verb is missing; try: {pasteable(name, 'show', *rest)}"
    return text


def _meant(name: str, rest: list[str], verbs: Collection[str]) -> tuple[list[str], str] | None:
    """The whole right command and what was wrong with this one."""
    later = next((word for word in rest if word in verbs), None)
    if later is not None and (name.startswith("-") or "=" in name):
        others = [name, *rest]
        others.remove(later)
        return [later, *others], f"the verb comes first: {later}"
    bare = name.lstrip("-")
    wrong = f"there is no verb {name!r}"
    if name.startswith("-") and bare.lower() in ("v", "version"):
        return ["--version"], f"unknown flag {name}"
    if (begin := verb_of(bare)) is not None and "=" not in name:
        return _continued(begin, rest), f"{wrong}; did you mean {begin}?"
    if near := nearest_name(bare, verbs):
        return [*near.split(), *rest], f"{wrong}; did you mean {near}?"
    if "=" in name and not name.startswith("-"):
        verb = "sample" if name.startswith("ckpt=") else "eval" if name.startswith(("metric=", "samples=")) else "train"
        return [verb, name, *rest], "a verb is missing"
    if os.sep in name or os.path.isdir(name):
        return ["sample", f"ckpt={name}", *rest], wrong
    return None


def _continued(begin: str, rest: list[str]) -> list[str]:
    """`train resume=` with what followed the foreign verb."""
    first, *more = begin.split(" ", 1)
    if more and more[0].endswith("="):
        path = next((word for word in rest if "=" not in word and not word.startswith("-")), None)
        others = [word for word in rest if word != path]
        return [first, f"{more[0]}{path or 'auto'}", *others]
    return [*begin.split(), *rest]

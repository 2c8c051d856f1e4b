"""Type genkit commands wrongly, and count how often the answer holds the right next one.

The commands are made from the tables of keys and options, by what fingers do (a letter dropped, doubled, swapped or
struck beside; another case, another separator; `--flag value`) and by what other tools call things. An answer is right
where its command holds the argument that was meant. The whole set runs in one process, a part of it in processes of its
own, whose CPU time is measured.

    python scripts/mistyped.py                  300 commands, 20 of them timed
    python scripts/mistyped.py 1000 --timed 40 --seed 1 --show
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from genkit import cli
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.correction import Corrector
from genkit.config.hydra.synonyms import TERMS
from genkit.config.hydra.words import Words

LIMIT = 0.6  # CPU seconds of an answer
NEEDED = 0.9  # share of right answers
BASE = {"train": ["model=vae"], "check": ["model=gan"], "sample": ["ckpt=RUN"], "eval": ["ckpt=RUN"]}
ROWS = {letter: row for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890") for letter in row}


class Case(NamedTuple):
    """A command line, and what must stand in the right one."""

    argv: list[str]
    right: str
    kind: str


def neighbour(letter: str, rng: random.Random) -> str:
    row = ROWS.get(letter, "abc")
    place = row.find(letter)
    return rng.choice([row[i] for i in (place - 1, place + 1) if 0 <= i < len(row)])


def swap(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word) - 1)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def drop(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[:i] + word[i + 1 :]


def double(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[:i] + word[i] + word[i:]


def miss(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word))
    return word[:i] + neighbour(word[i], rng) + word[i + 1 :]


def case_of(word: str, rng: random.Random) -> str:
    return rng.choice([word.upper(), word.title(), word.title().replace("_", "")])


def separator(word: str, rng: random.Random) -> str:
    return word.replace("_", rng.choice(["-", ""])) if "_" in word else word.replace(".", rng.choice(["_", "/", "-"]))


EDITS: list[Callable[[str, random.Random], str]] = [swap, drop, double, miss, case_of, separator]


def cases(seed: int) -> Iterator[Case]:
    """Mistyped commands without end, each kind in its turn."""
    rng = random.Random(seed)
    catalog = Catalog.of(Words())
    keys = {verb: _keys(verb, catalog) for verb in BASE}
    makers = [_key_typo, _option_typo, _flag, _foreign, _foreign_flag, _verb_typo]
    while True:
        for maker in makers:
            verb = rng.choice(list(BASE))
            case = maker(verb, keys[verb], catalog, rng)
            if case is not None:
                yield case


def _keys(verb: str, catalog: Catalog) -> dict[str, str]:
    """Keys that hold one value -> that value, as it is typed."""
    found = Corrector(verb, Words(overrides=BASE[verb]), catalog).keys
    plain = {key: value for key, value in found.items() if not isinstance(value, dict | list) and "_target_" not in key}
    return {
        key: str(value).lower() if isinstance(value, bool) else "3" if value is None else str(value)
        for key, value in plain.items()
        if key not in catalog.defaults(verb)
        and value != "???"
        and not any(part.isdigit() for part in key.split("."))
        and "$" not in str(value)
        and key != "debug"
    }


def _edited(word: str, taken: Callable[[str], bool], rng: random.Random, least: int = 4) -> str | None:
    """The word with one edit, None where it is too short or became another right one."""
    if len(word) < least:
        return None
    wrong = rng.choice(EDITS)(word, rng)
    return None if wrong == word or taken(wrong) else wrong


def _key_typo(verb: str, keys: dict[str, str], catalog: Catalog, rng: random.Random) -> Case | None:
    key = rng.choice(list(keys))
    parent, point, leaf = key.rpartition(".")
    wrong = _edited(leaf, lambda word: f"{parent}{point}{word}" in keys, rng)
    if wrong is None:
        return None
    if "/" in wrong or "=" in wrong:
        return None
    mark = rng.choice(["", "", "+", "++"])
    return Case([verb, *BASE[verb], f"{mark}{parent}{point}{wrong}={keys[key]}"], f"{key}={keys[key]}", "typo in a key")


def _option_typo(verb: str, keys: dict[str, str], catalog: Catalog, rng: random.Random) -> Case | None:
    group = rng.choice([group for group in catalog.defaults(verb) if group != "experiment"])
    options = list(catalog.options(group))
    option = rng.choice(options)
    wrong = _edited(option, lambda word: word in options, rng, least=3)
    if wrong is None:
        return None
    others = [word for word in BASE[verb] if not word.startswith(f"{group}=")]
    return Case([verb, *others, f"{group}={wrong}"], f"{group}={option}", "typo in an option")


def _flag(verb: str, keys: dict[str, str], catalog: Catalog, rng: random.Random) -> Case | None:
    group = rng.choice([group for group in catalog.defaults(verb) if group != "experiment"])
    option = rng.choice(list(catalog.options(group)))
    others = [word for word in BASE[verb] if not word.startswith(f"{group}=")]
    form = rng.choice([[f"--{group}", option], [f"--{group}={option}"], [f"{group}:{option}"], [group, "=", option]])
    return Case([verb, *others, *form], f"{group}={option}", "another notation")


def _term(verb: str, rng: random.Random) -> tuple[str, str, str] | None:
    """A foreign word, a value for it, and the argument that is meant."""
    words, term = rng.choice(list(TERMS[verb].items()))
    word = rng.choice(words.split())
    if len(word) < 2 or "|" in term.key:
        return None
    if "=" in term.key or term.key.startswith("-"):
        return word, "true", term.key
    if term.counts_other:
        return word, "5", term.key
    if term.values:
        value, meant = rng.choice(list(term.values.items()))
        return word, value, meant
    return word, "", term.key


def _value(key: str, catalog: Catalog, rng: random.Random) -> str:
    return rng.choice(list(catalog.options(key))) if key in catalog.groups else "7"


def _foreign(verb: str, keys: dict[str, str], catalog: Catalog, rng: random.Random) -> Case | None:
    found = _term(verb, rng)
    if found is None or found[0] in keys or found[0] in catalog.defaults(verb):
        return None
    word, value, right = found
    value = value or _value(right, catalog, rng)
    meant = right if "=" in right or right.startswith("-") or value == "5" else f"{right}={value}"
    others = [part for part in BASE[verb] if part.partition("=")[0] != right.partition("=")[0]]
    return Case([verb, *others, f"{word}={value}"], meant, "another tool's key")


def _foreign_flag(verb: str, keys: dict[str, str], catalog: Catalog, rng: random.Random) -> Case | None:
    case = _foreign(verb, keys, catalog, rng)
    if case is None:
        return None
    *others, last = case.argv
    word, _, value = last.partition("=")
    flag = "--" + (word.replace("_", "-") if rng.random() < 0.5 else word)
    form = [flag] if value == "true" else [flag, value] if rng.random() < 0.5 else [f"{flag}={value}"]
    return Case([*others, *form], case.right, "another tool's flag")


def _verb_typo(verb: str, keys: dict[str, str], catalog: Catalog, rng: random.Random) -> Case | None:
    wrong = _edited(verb, lambda word: word in cli.VERBS, rng)
    return None if wrong is None else Case([wrong, *BASE[verb]], f"genkit {verb} {BASE[verb][0]}", "typo in a verb")


def answer(argv: list[str]) -> tuple[int, str]:
    """Exit code and error line of a command, in this process."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(argv)
    return code, err.getvalue()


def is_right(case: Case, code: int, line: str) -> bool:
    """Refused in one line whose command holds the right argument."""
    command = line.partition(" try: ")[2]
    padded = f" {command.strip()} "
    held = f" {case.right} " in padded or ("=" not in case.right and case.right in line)
    return code == 2 and line.count("\n") == 1 and held


def cpu_seconds(argv: list[str]) -> float:
    """CPU time of a process of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "genkit", *argv], capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timed", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="print the wrong answers")
    options = parser.parse_args()
    made = cases(options.seed)
    tried = [next(made) for _ in range(options.count)]
    right: dict[str, list[bool]] = {}
    trouble = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for case in tried:
            code, line = answer(case.argv)
            good = is_right(case, code, line)
            right.setdefault(case.kind, []).append(good)
            trouble += "Traceback" in line or "internal error" in line
            if options.show and not good:
                print(f"{' '.join(case.argv)}\n   wanted {case.right}\n   {line.strip()}")
        left = os.listdir(folder)
        seconds = [cpu_seconds(case.argv) for case in random.Random(options.seed).sample(tried, options.timed)]
    for kind, results in right.items():
        print(f"{kind:<22} {sum(results):>4} of {len(results):>4}")
    share = statistics.mean(good for results in right.values() for good in results)
    print(f"right next command     {share:.1%}; tracebacks and internal errors: {trouble}; files left: {len(left)}")
    print(f"CPU seconds of {options.timed} processes: median {statistics.median(seconds):.2f}, most {max(seconds):.2f}")
    return int(share < NEEDED or trouble > 0 or bool(left) or max(seconds) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

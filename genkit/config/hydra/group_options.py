"""The option of a group as it was typed: a typo, an option of another group, several, none, or what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from genkit.config.hydra.catalog import KINDS, Catalog
from genkit.config.hydra.hydra_keys import GRIDS
from genkit.config.hydra.notations import Item
from genkit.config.hydra.synonyms import OPTIONS, SETS
from genkit.config.hydra.verdict import Verdict
from genkit.config.suggestions import bare, listing, name_similarity, nearest_name

PLAIN = re.compile(r"[\w./-]+")
SWEEPS = re.compile(r"(choice|range|glob|sort|shuffle)\(.*\)")
SPACES = re.compile(r"(interval|tag|loguniform|uniform|int|log)\(.*\)")  # of samplers that genkit lacks
FEW, NEAREST = 12, 5  # options that are listed all; of more the nearest
LIST_GROUPS = {"metric"}  # metric=[fid,kid]; two models on top of each other would be neither


def same_name(word: str, names: Iterable[str]) -> str | None:
    """The name that is equal but for case and separators."""
    pool = sorted(names)
    return word if word in pool else next((name for name in pool if bare(name) == bare(word)), None)


def notation(item: Item, word: str) -> Verdict:
    """A right argument in another notation."""
    return Verdict(f"{item.typed}: an argument is written key=value", word, (word,))


@dataclass(frozen=True)
class Options:
    """Judges the values of groups.

    Attributes:
        groups: The verb's groups and their defaults.
        catalog: Where the options stand.
        multirun: Whether several values are a sweep.
        searching: Whether intervals are the space of a search.
    """

    groups: Mapping[str, Any]
    catalog: Catalog
    multirun: bool
    searching: bool = False

    def nearest(self, group: str, name: str) -> str | None:
        """The option that a name means, if any."""
        options = self.catalog.options(group)
        return name if name in options else nearest_name(name, options)

    def verdict(self, item: Item, group: str, *, known: bool = True) -> Verdict | None:
        """The option of a group; `known` is False where the group itself was called otherwise."""
        value, options = item.value, self.catalog.options(group)
        if value is None:
            return None if item.mark == "~" else Verdict(f"{item.typed}: the value is missing")
        if not value:
            chosen = self.groups[group]
            text = f"{group}=: the value is missing; {group} has {listing(options)}"
            return Verdict(text, None, (f"{group}={chosen}",) if chosen else ())
        if value == "null":
            if self.groups[group] is None:
                return None
            return Verdict(f"{item.typed}: {group} is needed; it has {listing(options)}", None, ())
        return self._options(item, group, value, known)

    def _options(self, item: Item, group: str, value: str, known: bool) -> Verdict | None:
        inside = value.strip("[]")
        if value.count("[") != value.count("]") or value.count("'") % 2 or value.count('"') % 2:
            return self._odd(item, group, value)
        if SPACES.fullmatch(inside) and not self.searching:
            return Verdict(f"{item.typed}: {GRIDS}")
        if SWEEPS.fullmatch(inside) or SPACES.fullmatch(inside):
            return None if self.multirun else self.many(item)
        names = [part.strip(" '\"") for part in inside.split(",")]
        right, wrong = list[str](), None
        for name in names:
            if name in ("", "null") or not PLAIN.fullmatch(name):
                if not name or name != "null":
                    wrong = wrong or self._odd(item, group, name)
                continue
            if name in self.catalog.options(group):
                right.append(name)
                continue
            verdict = self._no_option(item, group, name)
            wrong = wrong or verdict
            if verdict.right is None or not verdict.right[0].startswith(f"{group}="):
                return wrong if len(names) == 1 else Verdict(wrong.text, wrong.near)
            right.append(verdict.right[0].partition("=")[2])
        shown = ",".join(right)
        listed = value.startswith("[") or any("," in name for name in right)
        whole = f"{group}=[{shown}]" if listed else f"{group}={shown}"
        if wrong is not None:
            return Verdict(wrong.text, wrong.near, (whole,) if right else wrong.right, wrong.note)
        if len(right) > 1 and not value.startswith("[") and not self.multirun:
            return self.many(item, whole)
        if value.startswith("[") and group not in LIST_GROUPS:
            text = f"{item.typed}: {group} takes one option; with -m {group}=A,B runs one job for each"
            return Verdict(text, None, (*(["--multirun"] if len(right) > 1 else []), f"{group}={shown}"))
        if known and item.plain and item.mark in ("", "+"):
            return None
        return notation(item, whole)

    def _odd(self, item: Item, group: str, name: str) -> Verdict:
        text = f"{group}: cannot read the value {item.value}"
        clean = re.sub(r"[^\w,/-]", "", item.value or "").strip(",-/")
        options = [self.nearest(group, part) for part in clean.split(",") if part]
        if not options or None in options:
            return Verdict(f"{text}; {group} has {listing(self.catalog.options(group))}")
        word = f"{group}={','.join(filter(None, options))}"
        if len(options) > 1 and group in LIST_GROUPS:
            word = f"{group}=[{word.partition('=')[2]}]"
        return Verdict(text, word, (word,))

    def _no_option(self, item: Item, group: str, name: str) -> Verdict:
        options = self.catalog.options(group)
        text = f"{group}={name}: there is no such option of {group}"
        if meant := OPTIONS.get(group, {}).get(bare(name)):
            return Verdict(text, f"[{meant}]" if "," in meant else meant, (f"{group}={meant}",))
        if bare(name) in SETS.get(group, ()):
            sets = listing(option for option in options if "/" in option)
            return Verdict(text, note=f"sets of them are {sets}, and without {group}= that of the data is taken")
        same = same_name(name, options) or (next(iter(options)) if len(options) == 1 else None)
        if same is None:
            for other in self.groups:
                if other != group and name in self.catalog.options(other):
                    return Verdict(text, f"{other}={name}", (f"{other}={name}",))
        if near := same or nearest_name(name, options):
            return Verdict(text, near, (f"{group}={near}",))
        for other in self.groups:
            if other not in (group, "experiment") and (option := nearest_name(name, self.catalog.options(other), 0.8)):
                return Verdict(text, f"{other}={option}", (f"{other}={option}",))
        if len(options) <= FEW:
            return Verdict(f"{text}; it has {listing(options) or 'none'}")
        close = ", ".join(sorted(options, key=lambda option: -name_similarity(name, option))[:NEAREST])
        kind = next((kind for kind, listed in KINDS.items() if listed == group), None)
        shows = f": genkit list {kind} shows all" if kind else ""
        return Verdict(f"{text}; the nearest of {len(options)} are {close}{shows}")

    def many(self, item: Item, word: str | None = None) -> Verdict:
        text = f"{item.key}={item.value}: several values in one run; add -m to run one job for each"
        return Verdict(text, None, ("--multirun", word or item.word(item.key)))

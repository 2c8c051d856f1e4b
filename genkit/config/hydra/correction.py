"""The next command: what was typed, with every wrong word replaced by the nearest right one.

A wrong word is a typo (edit distance), a word of another tool (`genkit/config/hydra/synonyms.py`), an option of another
group (`backbone=vae`), or a right word in another notation (`--model vae`). The first wrong one is what the message is
about; the command at its end mends them all, and is left out where one of them is beyond repair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from genkit.config.hydra.catalog import APPLYING, DRAWING, Catalog, with_nulls
from genkit.config.hydra.compose import composed_config, dotted
from genkit.config.hydra.group_options import LIST_GROUPS, SPACES, SWEEPS, Options, notation, same_name
from genkit.config.hydra.hydra_keys import GRIDS, hydra_verdict
from genkit.config.hydra.notations import Item, cleaned, items
from genkit.config.hydra.paths import holds_path
from genkit.config.hydra.search.options import OPTUNA, SWEEPER
from genkit.config.hydra.synonyms import CONFIG_WORDS, OWN_FILE, VALUES, Term, terms_of
from genkit.config.hydra.verdict import Verdict, text_of
from genkit.config.hydra.words import FLAGS, Words
from genkit.config.suggestions import bare, listing, name_similarity, nearest_name
from genkit.printing import pasteable

INDEX = re.compile(r"\[(\d+)\]")
OPEN_KEYS = ("optimizer_overrides.", "callbacks.")  # what stands below is the user's to name
# what a bare path is taken for
TAKES_PATH = {
    "train": "resume",
    "check": "start",
    "log": "ckpt",
    "decompress": "input",
    **dict.fromkeys(APPLYING, "ckpt"),
}
DATA_PATH, DATA_FILES = "data.root", "data=images"  # so by the verbs of data


@dataclass(frozen=True)
class Corrector:
    """Judges the arguments of one command line."""

    verb: str
    words: Words
    catalog: Catalog
    refused: Mapping[str, str] = field(default_factory=dict)  # argument -> why it was refused elsewhere
    known: Mapping[str, Any] | None = None  # what it composes to, where that was composed already

    def message(self) -> str | None:
        """The line for the first wrong argument, with the next command; None where none is wrong."""
        verdicts = [(item, self.verdict(item)) for item in self.items]
        wrong = [verdict for _, verdict in verdicts if verdict is not None]
        if not wrong:
            return None
        command = self._command(verdicts)
        line = wrong[0].line()
        return line if command is None else f"{line}{'' if line.endswith('?') else ';'} try: {command}"

    def blamed(self, key: str, text: str) -> str:
        """A refusal of a value that nobody typed, with the experiment that set it and the command without the clash."""
        chosen = next((item.value for item in self.items if item.key == "experiment" and item.value), None)
        file = self.catalog.options("experiment").get(chosen or "") if "experiment" in self.groups else None
        if file is None or not self.catalog.sets(file, key):
            return text
        top = key.partition(".")[0]
        clash = [item.typed for item in self.items if item.key == top]
        if not clash:
            return f"{text}; set by experiment={chosen}"
        words = [*self.words.kept_flags, *(item.typed for item in self.items if item.typed not in clash)]
        command = pasteable(*self.verb.split(), *words)
        return f"{text}; set by experiment={chosen}, which does not go with {clash[0]}; try: {command}"

    def _command(self, verdicts: Sequence[tuple[Item, Verdict | None]]) -> str | None:
        if any(verdict is not None and verdict.right is None for _, verdict in verdicts):
            return None
        flags = [*self.words.kept_flags]
        words: list[str] = []
        for item, verdict in verdicts:
            for word in [item.typed] if verdict is None else verdict.right or ():
                (flags if word.startswith("-") else words).append(word)
        flags = list(dict.fromkeys(flags)) if len(flags) < 3 else flags
        return pasteable(*self.verb.split(), *flags, *dict.fromkeys(words))

    @cached_property
    def groups(self) -> dict[str, Any]:
        return self.catalog.defaults(self.verb)

    @cached_property
    def options(self) -> Options:
        return Options(self.groups, self.catalog, self.words.multirun, self.searching)

    @property
    def searching(self) -> bool:
        """Tell whether intervals are the space of a search."""
        return self.words.multirun and f"{SWEEPER}={OPTUNA}" in self.words.overrides

    @cached_property
    def terms(self) -> dict[str, Term]:
        return terms_of(self.verb)

    @cached_property
    def items(self) -> list[Item]:
        names = {*self.groups, *self._own, *self.terms}
        return items(self.words.overrides, names)

    @cached_property
    def _own(self) -> set[str]:
        """The top-level keys of the verb, without its groups' own."""
        return set(self.catalog.own_keys(self.verb))

    @cached_property
    def config(self) -> dict[str, Any]:
        """Compose the choices of groups, with mended names; the verb's own keys where they do not compose."""
        if self.known is not None:
            return dict(self.known)
        chosen = dict(self._choices())
        search = [word for word in self.words.overrides if word.startswith("hydra.searchpath=")]
        choices = tuple(f"{key}={value}" for key, value in chosen.items())
        found = composed_config(self.catalog.folders, self.verb, self.words.config_dir, tuple(search), choices)
        return with_nulls(found, self.catalog.plugins_keys(self.verb))

    def _choices(self) -> Iterator[tuple[str, str]]:
        for item in self.items:
            group = same_name(item.key, self.groups)
            group = group or self._group_of_term(item)
            if group is None and not item.bare:
                group = nearest_name(item.key, self.groups, 0.75)
            if group is None or not item.value or item.value == "null":
                continue
            first = item.value.strip("[]").split(",")[0].strip(" '\"")
            option = self.options.nearest(group, first)
            if option is not None:
                yield group, f"[{option}]" if group in LIST_GROUPS else option

    def _group_of_term(self, item: Item) -> str | None:
        term = self.terms.get(bare(item.key))
        if term is None:
            return None
        groups = [key for key in term.key.split("|") if key in self.groups]
        return next((group for group in groups if item.value in self.catalog.options(group)), next(iter(groups), None))

    @cached_property
    def keys(self) -> dict[str, Any]:
        """Every key, dotted -> its value as composed."""
        return dict(dotted(self.config))

    # --- one argument

    def verdict(self, item: Item) -> Verdict | None:
        """Find what is wrong with an argument, None where nothing is."""
        return self._judged(item) or self._refused(item)

    def _refused(self, item: Item) -> Verdict | None:
        """Give the fault that was found with the composed value."""
        text = self.refused.get(item.typed)
        if text is None:
            return None
        near = re.search(r"did you mean ([^\s?]+)\?$", text)
        if item.mark == "~":
            return Verdict(text, None, (f"{item.key}=null",) if text.endswith(f"{item.key}=null") else ())
        if near is None:
            return Verdict(text)
        is_key = "has no such argument" in text or "unknown key" in text
        return Verdict(text, None, (item.word(near[1]) if is_key else f"{item.key}={near[1]}",))

    def _judged(self, item: Item) -> Verdict | None:
        if item.bare:
            return self._bare(item)
        written = item.key in self.keys and item.typed.startswith((f"{item.key}=", f"+{item.key}="))
        if written and holds_path(item.key, item.value or "", self.words.plugins):
            return None if item.value else Verdict(f"{item.typed}: the value is missing", None, ())
        if item.key.startswith(("hydra.", "hydra/")) or item.key == "hydra":
            return hydra_verdict(item, self.catalog.launchers)
        if "@" in item.key:
            group = item.key.partition("@")[0]
            return Verdict(f"{item.typed}: an option has one place here", f"{group}=", (item.word(group),))
        if item.key in self.groups:
            return self.options.verdict(item, item.key)
        if item.key in self.keys:
            return self._known(item)
        return self._unknown(item)

    def _bare(self, item: Item) -> Verdict:
        word = item.value or ""
        text = f"{item.typed}: an argument of genkit {self.verb} is written key=value"
        if not word:
            return Verdict(f"{item.typed!r}: an empty argument; it is written key=value", None, ())
        for group in self.groups:
            if word in self.catalog.options(group):
                return Verdict(text, f"{group}={word}", (f"{group}={word}",))
        if "/" in word or "\\" in word:
            key = TAKES_PATH.get(self.verb, DATA_PATH)
            if key == DATA_PATH and not any(other.key == "data" for other in self.items):
                return Verdict(text, None, (DATA_FILES, f"{key}={word}"))
            start = " (start= begins a new run from its weights)" if key == "resume" else ""
            return Verdict(text, f"{key}={word}", (f"{key}={word}",), start.strip())
        if word in self.groups or word in self.keys:
            return self._without_value(item, word, text)
        if (term := self.terms.get(bare(word))) is not None and "=" in term.key:
            return Verdict(text, term.key, (term.key,))
        for group in self.groups:
            if group != "experiment" and (option := nearest_name(word, self.catalog.options(group), 0.75)):
                return Verdict(text, f"{group}={option}", (f"{group}={option}",))
        if near := nearest_name(word, {*self.groups, *self.keys}):
            return self._without_value(item, near, text)
        return Verdict(text)

    def _without_value(self, item: Item, key: str, text: str) -> Verdict:
        """`genkit train seed`: the default stands for the value."""
        default = self.groups.get(key, self.keys.get(key))
        if default is None or isinstance(default, dict | list):
            return Verdict(text, f"{key}=…")
        return Verdict(text, f"{key}={text_of(default)}", (f"{key}={text_of(default)}",))

    def _known(self, item: Item) -> Verdict | None:
        value = item.value
        if value is None:
            return None
        default = self.keys[item.key]
        if not value:
            kept = () if default is None or isinstance(default, dict) else (f"{item.key}={text_of(default)}",)
            return Verdict(f"{item.key}=: the value is missing", None, kept)
        if (word := VALUES.get(item.key, {}).get(value.lower())) is not None and word != item.typed:
            return Verdict(f"{item.typed}: {item.key} has another name here", word, (word,))
        if isinstance(default, dict) and value and value != "null" and not value.startswith("{"):
            return self._scalar(item, default)
        if not item.plain:
            return notation(item, item.word(item.key))
        if SPACES.fullmatch(value) and not self.searching:
            return Verdict(f"{item.typed}: {GRIDS}")
        if ((value.count(",") and not value.startswith(("[", "{", "'", '"'))) or SWEEPS.fullmatch(value)) and (
            not self.words.multirun and not isinstance(default, str)
        ):
            as_list = (f"{item.key}=[{value}]",) if isinstance(default, list) else None
            return self.options.many(item) if as_list is None else Verdict(
                f"{item.typed}: several values are a list", as_list[0], as_list
            )  # fmt: skip
        return self._readable(item)

    def _readable(self, item: Item) -> Verdict | None:
        from genkit.config.hydra.compose import readable

        if readable(item.typed):
            return None
        clean = re.sub(r"[\[\](){}'\"“”‘’`]", "", item.value or "")
        text = f"{item.key}: cannot read the value {item.value}"
        if item.value and item.value[0] in "[{('\"" and clean and "," not in clean:
            word = f"{item.key}={clean}"
            return Verdict(text, word, (word,))
        if item.value and item.value[0] == "[" and clean:
            word = f"{item.key}=[{clean}]"
            return Verdict(text, word, (word,))
        return Verdict(f"{text}; if it is text, quote it: {item.key}='\"{item.value}\"'")

    def _scalar(self, item: Item, node: Mapping[str, Any]) -> Verdict:
        """One value where a node of several keys stands: `ema=0.999`, `checkpoint=RUN`."""
        inner = [key for key in node if key != "_target_"]
        text = f"{item.typed}: {item.key} has keys of its own: {listing(f'{item.key}.{key}' for key in inner)}"
        term = self.terms.get(bare(item.key))
        value = item.value or ""
        if item.key == "checkpoint" and not value.isdigit():
            key = TAKES_PATH[self.verb]
            return Verdict(text, f"{key}={value}", (f"{key}={value}",))
        number = bool(re.fullmatch(r"-?\d+", value))
        fit = [key for key in inner if isinstance(node[key], int | float) and not isinstance(node[key], bool)]
        key = "n" if number and "n" in inner else (fit or inner or [""])[0]
        if value in ("false", "no") and self.keys[item.key] is not None and item.key == "ema":
            return Verdict(text, f"{item.key}=null", (f"{item.key}=null",))
        if value == "true":
            return Verdict(text, None, ())
        if not key or (term is None and not fit):
            return Verdict(text)
        return Verdict(text, f"{item.key}.{key}={value}", (f"{item.key}.{key}={value}",))

    # --- an unknown key

    def _unknown(self, item: Item) -> Verdict | None:
        if item.key.startswith(OPEN_KEYS):
            return None
        text = f"{item.key}: unknown key" if not item.dashed else f"{item.typed}: unknown flag"
        key = item.key
        if INDEX.search(key):
            key = INDEX.sub(r".\1", key)
            if key.partition(".")[0] in {*self.groups, *self._own}:
                word = item.word(key)
                return Verdict(f"{item.key}: an item of a list is written with a point", word, (word,))
        names = {*self.groups, *self.keys}
        same = same_name(key, names)
        if same is None and bare(key) in CONFIG_WORDS and (item.value or "").endswith((".yaml", ".yml", ".json")):
            path = PurePath(item.value or "")
            folder = str(path.parent.parent if path.parent.name == "experiment" else path.parent)
            right = ("--config-dir", folder, f"experiment={path.stem}")
            return Verdict(text, None, right if path.parent.name == "experiment" else None, OWN_FILE)
        if item.dashed and same is None and bare(key) not in self.terms and (flag := self._flag(item)):
            return flag
        term = self.terms.get(bare(key))
        leaves = [name for name in self.keys if name.rpartition(".")[2] == key]
        if same is None and term is not None and (not leaves or term.key == "trainer.max_steps"):
            return self._term(item, term, text)
        if same is None and (elsewhere := self._elsewhere(item)):
            return elsewhere
        parent = key.rpartition(".")[0]
        below = sorted(name.rpartition(".")[2] for name in self.keys if name.rpartition(".")[0] == parent)
        below = [name for name in below if name != "_target_"]
        if same is None and parent in self.groups and not below:
            options = "|".join(self.catalog.options(parent)) or "…"
            return Verdict(f"{text}; choose an option first: {parent}={options}")
        leaf = self.terms.get(bare(key.rpartition(".")[2]))
        near = same or nearest_name(key, names)
        if leaf is not None and parent and leaf.key.rpartition(".")[0] == parent and same is None:
            return self._term(item, leaf, text)  # optimizer.learning_rate
        foreign = nearest_name(bare(key), self.terms, 0.75) if near is None else self._closer_term(key, near)
        if same is None and foreign is not None:
            return self._term(item, self.terms[foreign], text)
        if near is not None:
            return self._renamed(item, near, text)
        if leaf is not None:
            return self._term(item, leaf, text)
        if parent and below:
            return Verdict(f"{text}; {parent} has {listing(below)}")
        return Verdict(f"{text}; {self.catalog.shown_by(self.verb)}", None, () if item.mark == "~" else None)

    def _flag(self, item: Item) -> Verdict | None:
        """A mistyped flag of genkit."""
        name = cleaned(item.typed).partition(" ")[0].partition("=")[0]
        near = nearest_name(name, [flag for flag in FLAGS if flag.startswith("--") and flag != "--quoted"], 0.75)
        if near is None:
            return None
        value = [] if item.value in (None, "true") else [item.value]
        return Verdict(f"{name}: unknown flag", near, (near, *value) if FLAGS[near] or not value else (near,))

    def _closer_term(self, key: str, near: str) -> str | None:
        """A foreign word that is closer to what was typed than the nearest key is."""

        word = nearest_name(bare(key), self.terms, 0.75)
        best = max(name_similarity(key, near), name_similarity(key.rpartition(".")[2], near.rpartition(".")[2]))
        return word if word is not None and name_similarity(key, word) > best else None

    def _renamed(self, item: Item, near: str, text: str) -> Verdict:
        """The same value under the nearest key or group."""
        found = Item(item.typed, near, item.value, item.mark, False, item.dashed)
        if near in self.groups and item.value is not None:
            inner = self.options.verdict(found, near, known=False)
            if inner is not None and inner.right is not None:
                return Verdict(text, _near_of(near, item, inner), inner.right)
            return Verdict(text, near, None if inner is not None else (found.word(near),))
        if isinstance(self.keys.get(near), dict) and item.value not in (None, "null"):
            inner = self._scalar(found, self.keys[near])
            return Verdict(text, inner.near or near, inner.right)
        value = item.value
        if item.dashed and value == "true" and not isinstance(self.keys.get(near), bool):
            return Verdict(text, near)
        return Verdict(text, near, (found.word(near),))

    def _term(self, item: Item, term: Term, text: str) -> Verdict:
        """Find what another tool's word means here."""
        note = f"({term.note})" if term.note else ""
        value = item.value or ""
        if (word := term.values.get(value.lower())) is not None:
            return Verdict(text, word, (word,), note)
        if "=" in term.key or term.key.startswith("-"):
            off = value.lower() in ("false", "no", "off")
            return Verdict(text, term.key, () if off else (term.key,), note)
        key = self._meant(term, value)
        if key is None:
            return Verdict(text, term.key.partition("|")[0], None, note)
        if term.counts_other:
            kept = self.keys.get(key)
            return Verdict(text, key, () if kept is None else (f"{key}={text_of(kept)}",), note)
        if key in self.groups:
            inner = self.options.verdict(Item(item.typed, key, item.value, "", False), key, known=False)
            right = inner.right if inner is not None else (f"{key}={value}",)
            return Verdict(text, key if right is None else right[0], right, note or ("" if right else self._has(key)))
        word = f"{key}={value}"
        if item.dashed and value == "true" and not isinstance(self.keys.get(key), bool):
            return Verdict(text, key, None, note)
        return Verdict(text, key, (word,), note)

    def _has(self, group: str) -> str:
        return f"{group} has {listing(self.catalog.options(group))}"

    def _meant(self, term: Term, value: str) -> str | None:
        """The first alternative that takes the value, else the first that there is."""
        there = [key for key in term.key.split("|") if key in self.keys or key in self.groups]
        for key in there:
            if key in self.groups and (value in self.catalog.options(key)):
                return key
        for key in there:
            if key in self.groups and nearest_name(value, self.catalog.options(key)):
                return key
        return there[0] if there else None

    def _elsewhere(self, item: Item) -> Verdict | None:
        """A key or group of another verb."""
        if self.verb in DRAWING and item.key.partition(".")[0] == "model":
            return Verdict(f"{item.typed}: the model comes from the checkpoint: leave {item.key}= out", None, ())
        for other in ("train", "sample", "eval"):
            if other == self.verb or {self.verb, other} == {"train", "check"} or bare(item.key) in self.terms:
                continue
            top = item.key.partition(".")[0]
            own = {*self.catalog.defaults(other), *self.catalog.own_keys(other)}
            if item.key in own or (top in own and top not in {*self.groups, *self._own}):
                return Verdict(
                    f"{item.key}: a key of genkit {other}, not of genkit {self.verb}: leave it out", None, ()
                )
        return None


def _near_of(near: str, item: Item, inner: Verdict) -> str:
    """The group alone where its value stays, else the whole argument."""
    right = inner.right or ()
    return near if not right or right[-1] == f"{near}={item.value}" else right[-1]

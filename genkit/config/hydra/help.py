"""`genkit help` and `genkit train --help`: groups and keys in sections, each with its description, within the terminal.

The keys, their defaults and their descriptions are those of the verb's own YAML: the comment behind a key describes
it, a comment `## Title` begins a section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from genkit.config.hydra.catalog import KINDS, Catalog
from genkit.config.hydra.help_layout import heading, names, rows, width, wrapped
from genkit.config.hydra.words import Words

LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*?)(?: +# *(?P<text>.*))?")
CONTINUED = re.compile(r" +# *(?P<text>.+)")  # a description that goes on below
FLAGS = [
    ("-m, --multirun", "run every combination of values: seed=1,2,3"),
    ("--cfg job", "print the composed configuration and stop; --resolve: with references replaced"),
    ("--config-dir FOLDER", "your own configurations besides genkit's: FOLDER/experiment/mine.yaml, experiment=mine"),
    ("--info", "how the configuration was put together"),
    ("--hydra-help", "what else Hydra can do"),
]
SHOWN = 2  # lines of options that a group has here; the rest is told by `genkit list`


@dataclass
class Section:
    """Keys that belong together: (key=default, description)."""

    title: str
    keys: list[tuple[str, str]] = field(default_factory=list)


def verb_help(verb: str, help_line: str, words: Words) -> str:
    """The help of a verb that composes a configuration."""
    catalog = Catalog.of(words)
    text = catalog.primary_file(verb).read_text(encoding="utf-8")
    defaults = catalog.defaults(verb)
    lines = [*wrapped(f"genkit {verb}: {help_line}"), ""]
    lines += [*wrapped(f"usage: genkit {verb} [group=option …] [key=value …] [flags]", "", " " * 7), ""]
    lines += [heading("groups"), *wrapped("One option each, the default in brackets. Their keys: --cfg job", "  ")]
    lines += [line for group, chosen in defaults.items() for line in _group(catalog, group, chosen)]
    found = sections(text)
    if (budget := catalog.options("trainer").get(str(defaults.get("trainer")))) is not None:
        found.insert(2, Section("trainer", _trainer_keys(budget.read_text(encoding="utf-8"))))
    if declared := [(f"{key}=null", told) for key, told in catalog.plugins_keys(verb).items()]:
        found.append(Section(f"how samples are drawn, of {' '.join(catalog.plugins)}", declared))
    for section in found:
        shown = [(key, told) for key, told in section.keys if key.partition("=")[0] not in defaults]
        lines += ["", heading(section.title), *rows(shown)] if shown else []
    return "\n".join([*lines, "", heading("flags"), *rows(FLAGS)])


def _trainer_keys(text: str) -> list[tuple[str, str]]:
    """The keys that every option of `trainer` has."""
    return [(f"trainer.{key}", told) for section in sections(text) for key, told in section.keys]


def _group(catalog: Catalog, group: str, chosen: object) -> list[str]:
    options = catalog.options(group)
    listed = [f"[{chosen or 'null'}]", *(name for name in options if name != chosen)]
    column = " " * 17
    lines = names(listed, column, f"  {group}=")
    if len(lines) <= SHOWN + 1:
        return lines
    kind = next((kind for kind, name in KINDS.items() if name == group), group)
    more = f"… ({len(options)} in all: genkit list {kind})"
    kept = lines[:SHOWN]
    return [*kept, f"{column}{more}"] if len(kept[-1]) + len(more) + 1 > width() else [*kept[:-1], f"{kept[-1]} {more}"]


def sections(text: str) -> list[Section]:
    """The keys of a primary configuration below its defaults list."""
    found = [Section("keys")]
    path: list[tuple[int, str]] = []
    for line in _body(text):
        if line.startswith("## "):
            found.append(Section(line[3:].strip()))
        elif (more := CONTINUED.fullmatch(line)) is not None and found[-1].keys:
            key, told = found[-1].keys[-1]
            found[-1].keys[-1] = (key, f"{told} {more['text']}")
        elif (match := LINE.fullmatch(line)) is not None:
            depth = len(match["indent"])
            path = [*(step for step in path if step[0] < depth), (depth, match["key"])]
            key, value = ".".join(name for _, name in path), match["value"].strip()
            if match["key"] != "_target_" and (value or match["text"]):
                found[-1].keys.append((f"{key}={value}" if value else f"{key}.…", match["text"] or ""))
    return [section for section in found if section.keys]


def _body(text: str) -> Iterator[str]:
    """The lines below the defaults list."""
    below = re.split(r"^defaults:\n(?:[ \t-].*\n|\n)*", text, maxsplit=1, flags=re.MULTILINE)[-1]
    yield from (line.rstrip() for line in below.splitlines())


def usage(verbs: Mapping[str, str]) -> str:
    """`genkit --help`: the verbs with their help lines, examples, exit codes."""
    lines = [
        "usage: genkit VERB [key=value …]",
        "       genkit help VERB",
        "",
        heading("verbs"),
        *rows(list(verbs.items())),
    ]
    lines += ["", heading("examples"), *rows(EXAMPLES, gap=3)]
    lines += ["", *wrapped('tab completion: eval "$(genkit completion bash)", or zsh, fish, powershell')]
    return "\n".join([*lines, "", heading("exit codes"), *rows(CODES), ""])


def usage_of(word: str, verbs: Mapping[str, str]) -> str:
    """`genkit data --help`: the verbs that begin with a word, with their help lines."""
    lines = [f"usage: genkit {word} VERB [key=value …]", "", heading("verbs"), *rows(list(verbs.items()))]
    return "\n".join([*lines, "", *wrapped(f"genkit help {next(iter(verbs))} shows the keys of one"), ""])


EXAMPLES = [
    ("genkit train model=vae data=digits", "train; genkit help train shows groups and keys"),
    ("genkit sample ckpt=outputs/train/…", "draw samples; a run folder means its latest checkpoint"),
    ("genkit eval ckpt=outputs/train/…", "score it against held-out data; metric=fid for one score"),
    ("genkit check model=gan data=digits", "what a training would cost; nothing is kept"),
    ("genkit list models", "what there is to choose from"),
]
CODES = [
    ("0", "done"), ("1", "internal error"), ("2", "configuration or usage"), ("3", "data"), ("4", "checkpoint"),
    ("5", "numerical: a loss or sample is not finite"), ("6", "disk or permission"),
    ("128+n", "stopped by signal n: 130 SIGINT, 143 SIGTERM, 129 SIGHUP, 138 SIGUSR1"),
]  # fmt: skip

r"""Values that are paths, quoted before Hydra's grammar sees them.

A path may hold `=`, spaces, commas, brackets, quotes, `$` and any script. Hydra would read `a=b` as a syntax error,
`a,b` as a sweep and `[a]` as a list, and OmegaConf `${x}` as an interpolation. So the value of a key that holds a
path is taken literally, with four exceptions, each only where no path of that very name exists: `null`,
`ckpt=[A,B]` and `samples=[A,B]` are lists, in a multirun an input `A,B` is a sweep, and `${oc.env:SCRATCH}` and
`${now:%Y-%m-%d}` are the environment's and the clock's. Any other `${` is refused: a folder of that name is what nobody
wants. The text of a prompt is taken literally without exceptions but `null`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence

from genkit.config.sampling_arguments import nested_models, trained_models
from genkit.errors import ConfigError

# several of these in one sweep make no sense: its jobs share a parent, and a search has one study
OUTPUT_KEYS = {"out", "run_dir", "search.storage"}
PATH_KEYS = {"ckpt", "resume", "start", "samples", "reference", "prompts", "data.root", "input"} | OUTPUT_KEYS
TEXT_KEYS = {"prompt"}  # taken literally too, in a sweep as well, and never looked for
LABELS = "data.labels"  # a word, or a file
LIST_KEYS = {"ckpt", "samples"}
NO_PATH = re.compile(r"[-+\d.,e\[\] ]*|true|false|\$\{\w+\}")
INTERPOLATION = re.compile(r"\$\{(?P<name>oc\.env|now):(?P<text>[^{}]*)\}")


def holds_path(key: str, value: str, plugins: Sequence[str] = ()) -> bool:
    """Tell whether a key holds a path: one of the verbs', or that of a trained model that a model takes."""
    if key in PATH_KEYS:
        return True
    if key == LABELS:
        return os.path.isfile(os.path.expanduser(value)) or "." in value
    if NO_PATH.fullmatch(value) and not os.path.exists(value):
        return False
    top, _, argument = key.partition(".")
    if top == "model":
        return argument in nested_models(plugins)
    return ("." in key or bool(plugins)) and key in trained_models(plugins)


def quote_path(word: str, multirun: bool = False, plugins: Sequence[str] = ()) -> str:
    """An override whose value is a path with that value quoted; any other override unchanged.

    Raises:
        ConfigError: the path holds an interpolation that is not resolved in paths, or an unset variable.
    """
    key, equals, value = word.partition("=")
    name = key.lstrip("+")
    if equals and name in TEXT_KEYS and value not in ("", "null"):
        return f"{key}={quoted(value)}"
    if not equals or value in ("", "null") or not holds_path(name, value, plugins):
        return word
    if os.path.exists(os.path.expanduser(value)):
        return f"{key}={quoted(value)}"
    value = resolved(value, name)
    if name in LIST_KEYS and value.startswith("[") and value.endswith("]"):
        return f"{key}=[{_quoted_parts(value[1:-1])}]"
    if multirun and name not in OUTPUT_KEYS and "," in value:
        return f"{key}={_quoted_parts(value)}"
    return f"{key}={quoted(_unquoted(value))}"


def quoted(path: str) -> str:
    """The path as a quoted string of Hydra's grammar that OmegaConf takes literally, `~` expanded."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text=literal(os.path.expanduser(path)), quote=Quote.single).with_quotes()


def literal(text: str) -> str:
    """The text as OmegaConf takes it literally, whatever interpolation it looks like."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def resolved(path: str, key: str) -> str:
    """A path with its `${oc.env:NAME}`, `${oc.env:NAME,default}` and `${now:FORMAT}` replaced.

    Raises:
        ConfigError: the variable is not set, or another `${` is left.
    """

    def value_of(found: re.Match[str]) -> str:
        if found["name"] == "now":
            return time.strftime(found["text"])
        name, comma, default = found["text"].partition(",")
        value = os.environ.get(name.strip())
        if value is None and not comma:
            raise ConfigError(f"{key}={path}: the environment variable {name} is not set")
        return default.strip() if value is None else value

    text = INTERPOLATION.sub(value_of, path)
    if "${" in INTERPOLATION.sub("", path):
        raise ConfigError(
            f"{key}={path}: only ${{oc.env:NAME}} and ${{now:%Y-%m-%d}} are resolved in a path: write the path out"
        )
    return text


def _quoted_parts(text: str) -> str:
    """The paths of a list without empty ones, as `[]` and a comma at the end have: they name the working directory."""
    return ",".join(quoted(_unquoted(part)) for part in split_paths(text) if part)


def split_paths(text: str) -> list[str]:
    """ "a,b,c" as paths; a comma belongs to a name where the longer name exists."""
    pieces, paths = text.split(","), []
    while pieces:
        joined = (",".join(pieces[:k]).strip() for k in range(len(pieces), 0, -1))
        longest = next((name for name in joined if os.path.exists(_unquoted(name))), pieces[0].strip())
        paths.append(longest)
        pieces = pieces[longest.count(",") + 1 :]
    return paths


def _unquoted(value: str) -> str:
    """A value that was quoted for Hydra by hand, where only the bare name exists."""
    bare = value[1:-1]
    by_hand = len(value) > 2 and value[0] == value[-1] and value[0] in "'\"" and not os.path.exists(value)
    return bare if by_hand and os.path.exists(bare) else os.path.expanduser(value)

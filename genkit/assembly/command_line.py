"""The command line of this job as a user would type it: what run.json and the files of results remember.

Inside a job `sys.argv` is that of the one job, with its paths quoted for Hydra; here they are plain again, and the
whole is quoted for the shell.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from genkit.config.hydra.explanation import key_of
from genkit.config.hydra.launch import current_job
from genkit.config.hydra.paths import holds_path
from genkit.config.hydra.search.options import TRIAL
from genkit.config.hydra.words import parse


def command_line() -> str:
    """ "genkit train model=vae 'run_dir=a b'" """
    words = [word for word in sys.argv[1:] if word != "--quoted" and key_of(word) != TRIAL]
    plugins = parse(words, lenient=True).plugins
    return shlex.join(["genkit", *(plain(word, plugins) for word in words)])


def data_words() -> list[str]:
    """The arguments of the running job that choose data, as the user would type them for another verb."""
    job = current_job()
    return [plain(word) for word, key in zip(job.overrides, job.keys, strict=True) if key.partition(".")[0] == "data"]


def plain(word: str, plugins: Sequence[str] = ()) -> str:
    """An override whose value is a quoted path, with that path; any other word unchanged."""
    key, equals, value = word.partition("=")
    if not equals or value.strip("[")[:1] != "'" or not holds_path(key.lstrip("+"), value, plugins):
        return word
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return f"{key}={_text(OverridesParser.create().parse_override(word).value())}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return str(value).replace("\\${", "${")

"""Tab completion for bash: verbs, groups, options, keys, flags.

`eval "$(genkit -sc install=bash)"` defines a completion function, which asks `genkit -sc query=bash` with the line in
COMP_LINE up to the cursor. Where nothing of ours fits (a path after `ckpt=`), bash completes file names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from genkit.config.words import FLAGS, Words, parse
from genkit.errors import ConfigError

# bash splits words at '=', so what stands before the last '=' of the word is cut from every answer
INSTALL = r"""_genkit() {
  local line="${COMP_LINE:0:$COMP_POINT}" word prefix=""
  word="${line##* }"
  [[ "$COMP_WORDBREAKS" == *"="* && "$word" == *"="* ]] && prefix="${word%=*}="
  local IFS=$'\n'
  COMPREPLY=($(COMP_LINE="$line" "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o nospace -o default -F _genkit genkit"""
UNINSTALL = "complete -r genkit; unset -f _genkit"


def answer(query: str, verbs: Mapping[str, bool]) -> int:
    """Answers `-sc install=bash`, `uninstall=bash` and `query=bash`; verbs: name -> whether it is a Hydra app."""
    match query:
        case "install=bash":
            print(INSTALL)
        case "uninstall=bash":
            print(UNINSTALL)
        case "query=bash":
            print("\n".join(candidates(os.environ.get("COMP_LINE", ""), verbs)))
        case _:
            raise ConfigError(f"{query}: completion knows install=bash, uninstall=bash and query=bash")
    return 0


def candidates(line: str, verbs: Mapping[str, bool]) -> list[str]:
    """What may stand in the place of the last word of `line`, sorted."""
    *before, word = line.split(" ")[1:] or [""]
    before = [part for part in before if part]
    if not before:
        found: Iterable[str] = (f"{verb} " for verb in verbs)
    elif before[0] == "list":
        from genkit.config.catalog import KINDS

        found = KINDS
    elif not verbs.get(before[0]):
        found = ()
    elif word.startswith("-"):
        found = (flag for flag in FLAGS if flag != "--quoted")
    else:
        found = _arguments(before[0], parse(before[1:]), word)
    return sorted({name for name in found if name.startswith(word)})


def _arguments(verb: str, words: Words, word: str) -> Iterable[str]:
    from genkit.config.catalog import Catalog

    catalog = Catalog.of(words)
    group, equals, value = word.partition("=")
    if equals:
        # after the last comma or bracket a new option begins
        done = value[: max(value.rfind(","), value.rfind("[")) + 1]
        return (f"{group}={done}{option}" for option in catalog.options(group)) if group in catalog.groups else ()
    return [*(f"{name}=" for name in catalog.defaults(verb)), *_key_steps(verb, words, word)]


def _key_steps(verb: str, words: Words, word: str) -> list[str]:
    """Keys one level below what is typed: "op" -> "optimizer.", "optimizer.l" -> "optimizer.lr="."""
    from genkit.config.catalog import Catalog
    from genkit.config.correct import Corrector

    keys = [key for key in Corrector(verb, words, Catalog.of(words)).keys if not re.search(r"\.\d", key)]
    parents = {key.rpartition(".")[0] for key in keys}
    level = [key for key in keys if key.count(".") == word.count(".")]
    return [f"{key}." if key in parents else f"{key}=" for key in level if not key.rpartition(".")[2].startswith("_")]

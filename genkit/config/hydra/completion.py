"""Tab completion for bash, zsh, fish and PowerShell: verbs, groups, options, keys, flags.

`genkit completion SHELL` prints a function for the shell. It asks `genkit completion query` with the line in COMP_LINE
up to the cursor, so that what is offered is what stands in the tables of verbs and in the YAML. Where nothing of ours
fits (a path after `ckpt=`), the shell completes file names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from genkit.config.hydra.words import FLAGS, Words, parse
from genkit.errors import ConfigError

# bash splits words at '=', so what stands before the last '=' of the word is cut from every answer
BASH = r"""_genkit() {
  local line="${COMP_LINE:0:$COMP_POINT}" word prefix=""
  word="${line##* }"
  [[ "$COMP_WORDBREAKS" == *"="* && "$word" == *"="* ]] && prefix="${word%=*}="
  local IFS=$'\n'
  COMPREPLY=($(COMP_LINE="$line" "${COMP_WORDS[0]}" completion query 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o nospace -o default -F _genkit genkit"""
ZSH = r"""#compdef genkit
_genkit() {
  local -a found
  found=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" ${words[1]} completion query 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then
    compadd -Q -S '' -- "${found[@]% }"
  else
    _files
  fi
}
if [[ "$funcstack[1]" == "_genkit" ]]; then
  _genkit "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _genkit genkit
fi"""
FISH = r"""function __genkit_complete
    set -lx COMP_LINE (string join ' ' -- (commandline -opc) (commandline -ct))
    genkit completion query 2>/dev/null | string trim --right
end
complete -c genkit -a '(__genkit_complete)'"""
POWERSHELL = r"""Register-ArgumentCompleter -Native -CommandName genkit -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $env:COMP_LINE = $commandAst.ToString().PadRight($cursorPosition).Substring(0, $cursorPosition)
    & genkit completion query 2>$null | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_.TrimEnd(), $_.TrimEnd(), 'ParameterValue', $_)
    }
    Remove-Item Env:COMP_LINE
}"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH, "powershell": POWERSHELL}
UNINSTALL = "complete -r genkit; unset -f _genkit"
USAGE = f"genkit completion {'|'.join(SCRIPTS)}"
HOW = """
  bash        eval "$(genkit completion bash)"                             in ~/.bashrc
  zsh         eval "$(genkit completion zsh)"                              in ~/.zshrc
  fish        genkit completion fish | source                              in ~/.config/fish/config.fish
  powershell  genkit completion powershell | Out-String | Invoke-Expression   in $PROFILE"""


def answer(argv: Sequence[str], verbs: Mapping[str, bool]) -> int:
    """Answer `completion SHELL` and `completion query`; Hydra's `-sc install=bash` means the same.

    Args:
        argv: What stands behind the verb.
        verbs: Name -> whether Hydra composes its configuration.
    """
    word = argv[0].removeprefix("install=") if argv else ""
    match word:
        case "" | "-h" | "--help":
            print(f"usage: {USAGE}\n{HOW}")
        case "query" | "query=bash":
            print("\n".join(candidates(os.environ.get("COMP_LINE", ""), verbs)))
        case "uninstall=bash":
            print(UNINSTALL)
        case shell if shell in SCRIPTS:
            print(SCRIPTS[shell])
        case _:
            from genkit.config.suggestions import did_you_mean

            raise ConfigError(f"completion: no shell {word}{did_you_mean(word, SCRIPTS)}; usage: {USAGE}")
    return 0


def candidates(line: str, verbs: Mapping[str, bool]) -> list[str]:
    """List the completions of the last word of `line`, sorted."""
    *before, word = line.split(" ")[1:] or [""]
    before = [part for part in before if part]
    verb = next((" ".join(before[:k]) for k in (2, 1) if " ".join(before[:k]) in verbs), "")
    asked = before[1:] if before[:1] == ["help"] else before
    following = {name.split()[len(asked)] for name in verbs if name.split()[: len(asked)] == asked != name.split()}
    found: Iterable[str]
    if before[:1] == ["help"]:
        found = following
    elif following and not verb:
        found = (f"{name} " for name in following)
    elif verb == "completion":
        found = SCRIPTS
    elif verb == "list":
        from genkit.config.hydra.catalog import KINDS

        found = KINDS
    elif verb == "data clear":
        found = ("all", "older=", *names_in_cache())
    elif not verbs.get(verb):
        found = ()
    elif word.startswith("-"):
        found = (flag for flag in FLAGS if flag != "--quoted")
    else:
        found = _arguments(verb, parse(before[len(verb.split()) :]), word)
    return sorted({name for name in found if name.startswith(word)})


def names_in_cache() -> list[str]:
    """The names of prepared data, as `genkit data list` prints them; found without what reads it."""
    from genkit.storage.disk import user_folder

    places = [user_folder() / kind for kind in ("data", "splits", "shards")]
    return [entry.name[:12] for place in places if place.is_dir() for entry in place.iterdir() if entry.name[0] != "."]


def _arguments(verb: str, words: Words, word: str) -> Iterable[str]:
    from genkit.config.hydra.catalog import OWN_WORDS, Catalog
    from genkit.config.hydra.hydra_keys import SWEEPERS
    from genkit.config.hydra.search.options import SWEEPER
    from genkit.config.hydra.unambiguous import in_full

    words.overrides = in_full(words.overrides, verb)
    catalog, own = Catalog.of(words), OWN_WORDS.get(verb, {})
    group, equals, value = word.partition("=")
    launching = ["hydra/launcher=", *([f"{SWEEPER}="] if verb == "train" else [])] if words.multirun else []
    if equals and group == "hydra/launcher":
        return (f"{group}={launcher}" for launcher in catalog.launchers)
    if equals and group == SWEEPER:
        return (f"{group}={sweeper}" for sweeper in SWEEPERS)
    if equals:
        # after the last comma or bracket a new option begins
        done = value[: max(value.rfind(","), value.rfind("[")) + 1]
        options = catalog.options(own.get(group, group)) if own.get(group, group) in catalog.groups else ()
        return (f"{group}={done}{option}" for option in options)
    return [*(f"{name}=" for name in (*catalog.defaults(verb), *own)), *launching, *_key_steps(verb, words, word)]


def _key_steps(verb: str, words: Words, word: str) -> list[str]:
    """Keys one level below what is typed: "op" -> "optimizer.", "optimizer.l" -> "optimizer.lr="."""
    from genkit.config.hydra.catalog import Catalog
    from genkit.config.hydra.correction import Corrector

    keys = [key for key in Corrector(verb, words, Catalog.of(words)).keys if not re.search(r"\.\d", key)]
    parents = {key.rpartition(".")[0] for key in keys}
    level = [key for key in keys if key.count(".") == word.count(".")]
    return [f"{key}." if key in parents else f"{key}=" for key in level if not key.rpartition(".")[2].startswith("_")]

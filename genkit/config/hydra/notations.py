"""The words that a person typed, however they were written: `--model vae`, `model = vae`, `model:vae`, “model=vae”.

Nothing here decides what is right; it only finds the key and the value in each word, so that the answer to a wrong
one can be the right one with the same value. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

DASHES = "‐‑‒–—―−﹣－"  # what editors and chat programs make of - and --
QUOTES = "\"'`“”„‟‘’‚‛«»"
REPLACED: dict[int, str | None] = {ord(char): "=" for char in "\N{FULLWIDTH EQUALS SIGN}"}
REPLACED |= {ord("\N{FULLWIDTH COLON}"): ":", ord("\N{FULLWIDTH COMMA}"): ",", ord("\N{NO-BREAK SPACE}"): " "}
REPLACED |= {ord(char): None for char in "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"}
NUMBER = re.compile(r"-?[\d.]+(e-?\d+)?")


@dataclass(frozen=True)
class Item:
    """One argument.

    Attributes:
        typed: As it was typed, several words joined by a space.
        key: Its key without marks and dashes; "" for a bare word.
        value: Its value, or the bare word; None where it has none (`~key`).
        mark: "", "+", "++" or "~".
        plain: Whether it was written as key=value or ~key already.
        dashed: Whether it was written as a flag.
    """

    typed: str
    key: str
    value: str | None
    mark: str = ""
    plain: bool = True
    dashed: bool = False

    @property
    def bare(self) -> bool:
        return not self.key

    def word(self, key: str, value: str | None = None) -> str:
        """The argument with another key or value, as genkit reads it."""
        value = self.value if value is None else value
        return f"{self.mark.strip('+')}{key}" + ("" if value is None else f"={value}")


def cleaned(word: str) -> str:
    """A word without what an editor made of it: long dashes, other quotes, spaces around it and around its `=`."""
    word = word.translate(REPLACED).strip()
    dashes = len(word) - len(word.lstrip(DASHES + "-"))
    if dashes and any(char in DASHES for char in word[:dashes]):
        word = ("--" if len(word) - dashes > 1 else "-") + word[dashes:]
    key, equals, value = word.partition("=")
    if word[:1] in QUOTES and not any(char in QUOTES for char in word[1:-1]):
        return cleaned(word.strip(QUOTES)) if word.strip(QUOTES) else ""
    if any(char in QUOTES for char in value) and not value.isascii():
        value = value.strip(QUOTES)
    return f"{key.strip()}={value.strip()}" if equals else word


def items(words: Sequence[str], keys: Container[str]) -> list[Item]:
    """The arguments in a row of words; `keys` are names that a value may follow without `=` (`model vae`)."""
    rest, found = list(words), list[Item]()
    while rest:
        found.append(_next(rest, keys))
    return found


def _next(rest: list[str], keys: Container[str]) -> Item:
    """Takes the words of one argument off the front of `rest`."""
    typed = rest.pop(0)
    word = cleaned(typed)
    if word.startswith("-") and not NUMBER.fullmatch(word):
        return _flag(typed, word, rest)
    if word.startswith("~"):
        return Item(typed, word[1:].partition("=")[0], None, "~", word == typed)
    key, equals, value = word.partition("=")
    if not equals and rest and cleaned(rest[0]).startswith("="):  # model = vae, model =vae
        return _after_spaces(typed, key, rest)
    if equals and not value and rest and _can_be_value(rest[0]):  # model= vae
        return Item(f"{typed} {rest[0]}", key.lstrip("+"), cleaned(rest.pop(0)), "", False)
    if not equals and ":" in word and word.partition(":")[0] in keys:  # model:vae
        key, _, value = word.partition(":")
        return Item(typed, key, value.strip(), "", False)
    if not equals and word in keys and rest and _can_be_value(rest[0]):  # model vae
        return Item(f"{typed} {rest[0]}", word, cleaned(rest.pop(0)), "", False)
    if not equals:
        return Item(typed, "", word)
    bare, mark = key.lstrip("+"), key[: len(key) - len(key.lstrip("+"))]
    right = value.lstrip("=:") if value[:1] in ("=", ":") else value  # model==vae, model=:vae
    bare = bare.rstrip(":") or bare  # model:=vae
    trimmed = right.rstrip(";") if ";" in right[-1:] else right
    plain = word == typed and trimmed == value and bare == key.lstrip("+") and bool(bare)
    return Item(typed, bare, trimmed, mark if len(mark) < 3 else "", plain)


def _can_be_value(word: str) -> bool:
    return "=" not in word and not cleaned(word).startswith(("--", "~", "+")) and bool(cleaned(word))


def _after_spaces(typed: str, key: str, rest: list[str]) -> Item:
    words = [typed, rest.pop(0)]
    value = cleaned(words[-1])[1:]
    if not value and rest and _can_be_value(rest[0]):
        words.append(rest.pop(0))
        value = cleaned(words[-1])
    return Item(" ".join(words), key.lstrip("+"), value, "", False)


def _flag(typed: str, word: str, rest: list[str]) -> Item:
    """`--model vae`, `--model=vae`, `-e 5`, `--no-ema`, `--fp16`."""
    key, equals, value = word.lstrip("-").partition("=")
    key = key.replace("-", "_")
    if not equals and rest and "=" not in rest[0] and (not rest[0].startswith("-") or NUMBER.fullmatch(rest[0])):
        value = rest.pop(0)
        typed = f"{typed} {value}"
    elif not equals and key.startswith("no_"):
        key, value = key[3:], "false"
    elif not equals:
        value = "true"
    return Item(typed, key, value, "", False, True)

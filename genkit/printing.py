"""Untrusted text, made safe for a terminal and for an error's one line.

A label in run.json, a class path in a checkpoint, the name of a file in an archive: each may hold escape codes that set
the title or clear the screen, marks that reverse the reading order, newlines, or a million letters. Whatever comes from
a file or a path passes `shown` where it is printed or put into a message. Behind it stand two nets: every `GenkitError`
passes its message through `one_line`, and the console of `genkit.report.console` reads no markup and lets no control
character through.
"""

from __future__ import annotations

import shlex
from pathlib import PurePath

LONGEST = 500  # characters of a name or a value
LONGEST_PATH = 4096  # of a path: what exists cannot be longer, and is shown whole so that it can be copied
LONGEST_LINE = 6000  # of a whole message

# Printable by Unicode's account, and seen by nobody: fillers of Hangul, a blank of Braille, a joiner.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"


def shown(value: object, most: int | None = None) -> str:
    """The text of a value as part of one line: nothing hidden, nothing that a terminal obeys, of bounded length.

    Args:
        value: A path, or anything that has a text.
        most: Characters of the result; by default 4,096 of a path, 500 of anything else.
    """
    if most is None:
        most = LONGEST_PATH if isinstance(value, PurePath) else LONGEST
    return shortened(printable(shortened(str(value), most)), most)


def printable(text: str) -> str:
    r"""The text with control characters, invisible ones and line breaks as escapes: \x1b, \u202e, \n."""
    if text.isprintable() and not any(character in text for character in _INVISIBLE):
        return text
    return "".join(map(_visible, text))


def shortened(text: str, most: int) -> str:
    """The text, without its middle where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def pasteable(*words: str) -> str:
    """Spell a command of genkit so that a shell reads these words: `genkit sample 'ckpt=a folder'`."""
    return " ".join(["genkit", *map(shell_word, words)])


def shell_word(word: str) -> str:
    """Quote a word for a shell where it needs to be; control characters as bash and zsh do."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """Lines joined by spaces, printable, of at most `most` characters."""
    lines = (line.strip() for line in shortened(text, 2 * most).splitlines())
    return shortened(printable(" ".join(line for line in lines if line)), most)


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def _visible(character: str) -> str:
    if character.isprintable() and character not in _INVISIBLE:
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")

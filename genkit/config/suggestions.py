"""The nearest right name for a wrong one. Standard library only: the entry point uses it too.

Names are compared without their case and separators (`Beta-VAE` is `beta_vae`), by the optimal string alignment
distance: insertions, deletions, substitutions and swaps of neighbours cost 1 each (Damerau 1964; Wagner & Lowrance
1975 for the recurrence).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CUTOFF = 0.65  # of the similarity: one typo in three letters is close, two in five are not
SAME_PARENT = 0.8  # between whole dotted keys: a long common parent makes any two of them alike
SEPARATORS = re.compile(r"[^\w]|_")


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`."""
    before, row = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        above, before, row = before, row, [i] + [0] * len(b)
        for j, other in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                row[j] = min(row[j], above[j - 2] + 1)
    return row[-1]


def bare(name: str) -> str:
    """A name without case and separators: "Beta-VAE" -> "betavae"."""
    return SEPARATORS.sub("", name.casefold())


def name_similarity(a: str, b: str) -> float:
    """1 for names that are equal but for case and separators, 0 for those without anything in common."""
    a, b = bare(a), bare(b)
    longer = max(len(a), len(b))
    if not longer or abs(len(a) - len(b)) > longer / 2:
        return float(a == b)
    return 1 - edit_distance(a, b) / longer


def nearest_name(word: str, names: Iterable[str], cutoff: float = CUTOFF) -> str | None:
    """The name closest to `word`, None where nothing is close.

    A dotted key is first compared within its own parent (`model.hiden` with `model.hidden`), then as a whole, then by
    its last part alone (`latent_dim` with `model.latent_dim`). What is equal but for case and separators comes first,
    and a beginning of three letters or more last.
    """
    pool = sorted(set(names), key=lambda name: (name.count("."), name))
    parent, _, leaf = word.rpartition(".")
    wholes = {name: name for name in pool}
    leaves: dict[str, str] = {}
    for name in pool:
        leaves.setdefault(name.rpartition(".")[2], name)
    siblings = {name.rpartition(".")[2]: name for name in pool if name.rpartition(".")[0] == parent}
    same = _closest(word, wholes, 1.0) or _closest(leaf, leaves, 1.0)
    if same:
        return same
    found = _closest(leaf, siblings, cutoff) or _closest(word, wholes, SAME_PARENT if parent else cutoff)
    return found or _closest(leaf, leaves, cutoff) or _begun(leaf, siblings) or _begun(leaf, leaves)


def _closest(word: str, names: dict[str, str], cutoff: float) -> str | None:
    """Of two names that are equally close, the one of the same length (`vea` is vae, not ve)."""
    scored = [(name_similarity(word, name), -abs(len(word) - len(name)), name) for name in names]
    best = max(scored, key=lambda entry: entry[:2], default=None)  # the first of equals, as `names` has them
    return names[best[2]] if best is not None and best[0] >= cutoff else None


def _begun(word: str, names: dict[str, str]) -> str | None:
    """The shortest name that begins with `word`, or that has all of its parts in another order."""
    start = bare(word)
    if len(start) < 3:
        return None
    parts = sorted(re.split(r"[\W_]+", word.casefold()))
    turned = [name for name in names if "_" in name and sorted(name.split("_")) == parts]
    begun = [name for name in names if bare(name).startswith(start)]
    return names[min(turned or begun, key=len)] if turned or begun else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A clause for the end of a message, empty where nothing is close: "; did you mean vae?"."""
    close = nearest_name(word, names)
    return f"; did you mean {close}?" if close else ""


def listing(names: Iterable[str], limit: int = 12) -> str:
    """ "a, b, c" in alphabetical order, cut at `limit` names."""
    pool = sorted(set(names))
    return ", ".join(pool[:limit]) + (f", … ({len(pool)} in all)" if len(pool) > limit else "")

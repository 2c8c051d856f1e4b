"""The nearest right name for a wrong one. Standard library only: the entry point uses it too."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name closest to `word` (Ratcliff-Obershelp), None where nothing is close.

    A dotted key is first compared within its own parent (`model.hiden` with `model.hidden`), then as a whole, then by
    its last part alone (`latent_dim` with `model.latent_dim`).
    """
    import difflib  # 6 ms that a right command line need not pay

    pool = sorted(set(names))
    parent, _, leaf = word.rpartition(".")
    siblings = {name.rpartition(".")[2]: name for name in pool if name.rpartition(".")[0] == parent}
    if close := difflib.get_close_matches(leaf, siblings, 1, cutoff):
        return siblings[close[0]]
    # a long common parent makes any two dotted keys alike
    if close := difflib.get_close_matches(word, pool, 1, max(cutoff, 0.8) if parent else cutoff):
        return close[0]
    leaves = {name.rpartition(".")[2]: name for name in reversed(pool)}
    close = difflib.get_close_matches(leaf, leaves, 1, cutoff)
    return leaves[close[0]] if close else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A clause for the end of a message, empty where nothing is close: "; did you mean vae?"."""
    close = nearest(word, names)
    return f"; did you mean {close}?" if close else ""


def listing(names: Iterable[str], limit: int = 12) -> str:
    """ "a, b, c" in alphabetical order, cut at `limit` names."""
    pool = sorted(set(names))
    return ", ".join(pool[:limit]) + (f", … ({len(pool)} in all)" if len(pool) > limit else "")

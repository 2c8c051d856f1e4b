"""Compare the output that a page shows with the output that a command prints.

Numbers are masked, since a training of a few steps has others: with their signs, thousands and exponents, clock times,
dates in the names of folders, and hashes become one character. So do the units of memory and time that go with them.
The marks `†` (worse than a trivial baseline) and ` !` (fooled by outliers) depend on them and are dropped. The page's
`HOME` stands for the working directory. White space is one blank, so neither the width of a column nor that of the
terminal counts. `…` stands for what is left out, words or lines.
"""

import re

HOME = "/home/you"
HASH = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8}\b")
NUMBER = re.compile(r"[-+−]?\d(?:[\d,.:]*\d)?(?:e[-+]?\d+)?")
UNIT = re.compile(r"\b0 (?:(?P<memory>[KMG]iB)|ms|s|min|h)\b")
LEFT_OUT = "…"


def masked(text: str) -> str:
    """The text with 0 for every number, one unit for those of a kind, and one blank for every white space."""
    zeros = " ".join(NUMBER.sub("0", HASH.sub("0", text.replace("†", "").replace(" !", ""))).split())
    return UNIT.sub(lambda found: "0 MiB" if found["memory"] else "0 s", zeros)


def agrees(shown: str, printed: str, home: str) -> bool:
    """Whether a page may show `shown` below a command that printed `printed` in the folder `home`."""
    parts = [re.escape(masked(part)) for part in shown.split(LEFT_OUT)]
    return re.fullmatch(r"\s*.*?\s*".join(parts), masked(printed.replace(home, HOME)), re.DOTALL) is not None

"""Labels of samples as the user says them: by number, or by name where the data's own values name them."""

from __future__ import annotations

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.printing import shown


def label_number(spec: DataSpec, y: int | bool | str | None) -> int | None:
    """The number of the label y; None for none.

    A name comes first: where the levels of a table are 1 … 5, y=1 is the level 1, whose number is 0.

    Raises ConfigError for a name that no label has.
    """
    names = spec.kind.label_names
    said = str(y).lower() if isinstance(y, bool) else str(y)
    for i, name in enumerate(names):
        if y is not None and (name == said or (isinstance(y, bool) and name.lower() == said)):
            return i
    numbered = not any(name.isdecimal() for name in names)
    if y is None or (type(y) is int and numbered):
        return y
    if not names:
        raise ConfigError(f"y={shown(said)}: the labels of this data have no names: give a number from 0 on")
    some = ", ".join(map(shown, names[:8])) + (f", … ({len(names):,} in all)" if len(names) > 8 else "")
    raise ConfigError(f"y={shown(said)}: no such label; there are {some}")

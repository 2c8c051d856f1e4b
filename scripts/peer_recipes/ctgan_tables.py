"""CTGAN and TVAE of the package ctgan (Xu et al. 2019, 1907.00503): `--how ctgan` or `--how tvae`.

    python -m pip install torch==2.13.0 ctgan                # in an environment of its own

Its defaults, with as many epochs as the seconds hold: what one takes is measured first, by trainings of one and eleven
that are thrown away and not counted. Numbers of at most twelve values take the nearest of these afterwards, without
which a table of such columns is told from real rows at once.

DATA.csv holds the training rows, DATA.json beside it the kind of each column, and OUT.csv the rows that are drawn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import pandas
from ctgan import CTGAN, TVAE
from loop import asked, own_word

FEW = 12
NAMES = ("categorical", "ordinal")


def snapped(column: pandas.Series, values: pandas.Series) -> pandas.Series:
    """Each number as the nearest of those that the training rows have."""
    known = np.sort(values.unique())
    return pandas.Series(known[np.abs(column.to_numpy()[:, None] - known).argmin(1)], index=column.index)


def seconds_of(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    """Train, then draw."""
    model = {"ctgan": CTGAN, "tvae": TVAE}[own_word("--how")]
    of = asked()
    kinds = json.loads(of.data.with_suffix(".json").read_text())
    rows = pandas.read_csv(of.data, dtype={name: str for name, kind in kinds.items() if kind in NAMES})
    discrete = [name for name, kind in kinds.items() if kind in NAMES]

    def fitted(epochs: int) -> CTGAN | TVAE:
        made = model(epochs=epochs, enable_gpu=False)
        made.set_random_state(of.seed)
        made.fit(rows, discrete)
        return made

    started = time.process_time()
    fitted(1)  # what is slow once only
    one, eleven = seconds_of(lambda: fitted(1)), seconds_of(lambda: fitted(11))
    epoch = (eleven - one) / 10
    epochs = max(1, int((of.seconds - started - (one - epoch)) / epoch))
    drawn = fitted(epochs).sample(of.n)
    for name, kind in kinds.items():
        if kind not in NAMES and rows[name].nunique() <= FEW:
            drawn[name] = snapped(drawn[name], rows[name])
    drawn.to_csv(of.out, index=False)
    of.said(epochs, measuring=one + eleven)


if __name__ == "__main__":
    main()

"""A table that statsmodels carries, as a CSV file: `python statsmodels_table.py fair FILE.csv`.

`fair` (Fair 1978): 6,366 answers of nine columns, and a tenth, that says whether `affairs` is above 0.
"""

from __future__ import annotations

import sys

from statsmodels import datasets

ANSWERS = {"fair": ("affair", "affairs")}  # a yes and no by a column's being above 0

if __name__ == "__main__":
    name, file = sys.argv[1:]
    table = getattr(datasets, name).load_pandas().data
    if name in ANSWERS:
        answer, of = ANSWERS[name]
        table[answer] = (table[of] > 0).map({True: "yes", False: "no"})
    table.to_csv(file, index=False)

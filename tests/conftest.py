"""What every test may rely on, whoever started the tests."""

import csv
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Browser

# under nohup, and in some jobs, SIGHUP is ignored, and every process that a test starts would inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def mixed_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 rows of every kind of column, some cells missing, some quoted; `grade` depends on `age` and `income`."""
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("tables") / "people.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["age", "income", "city", "zip", "member", "joined", "note", "empty", "planet", "grade"])
        for _ in range(400):
            age, spike = int(draw.integers(18, 80)), draw.random() < 0.3
            income = 0.0 if spike else float(draw.lognormal(8.0 + age / 60, 0.5))
            rows.writerow([
                "NA" if draw.random() < 0.1 else age,
                f"{income:.2f}",
                draw.choice(["Ulm", "Bad, Sulza", 'the "Ring"', "two\nlines"], p=[0.6, 0.2, 0.1, 0.1]),
                f"0{draw.integers(1, 4)}13",
                draw.choice(["0", "1"], p=[0.8, 0.2]),
                "" if draw.random() < 0.2 else f"2024-{draw.integers(1, 13):02d}-{draw.integers(1, 29):02d}",
                draw.choice(["low", "mid", "high"]),
                "",
                "earth",
                "rich" if income > 5_000 else "old" if age > 60 else "other",
            ])  # fmt: skip
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium for tests of pages, which are skipped where there is none."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()

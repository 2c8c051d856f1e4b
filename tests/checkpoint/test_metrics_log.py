"""Lines of metrics: strict JSON, cut back exactly where a run resumes."""

import json
import math
from pathlib import Path

import pytest

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.errors import StorageError


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def test_each_line_is_strict_json_and_there_at_once(log: MetricsLog) -> None:
    log.append(1, {"train/loss": 0.1, "phase": "model"})
    log.append(2, {"train/loss": math.nan, "a": math.inf, "b": -math.inf})
    first, second = [json.loads(line, parse_constant=pytest.fail) for line in log.path.read_text().splitlines()]
    assert first == {"step": 1, "train/loss": 0.1, "phase": "model"}
    assert math.isnan(float(second["train/loss"]))
    assert (float(second["a"]), float(second["b"])) == (math.inf, -math.inf)
    assert log.records() == [first, second]


@pytest.mark.parametrize("torn", [b"", b'{"step": 9, "los', b'{"step": 2}', b"\0\0\0", b'{"step": "x"}\n', b"[1]\n"])
def test_a_resumed_run_continues_after_its_step(log: MetricsLog, torn: bytes) -> None:
    for step in (5, 10, 11, 20):
        log.append(step, {"loss": step / 3})
    whole = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(whole) + torn)
    log.truncate_after(10)
    assert log.path.read_bytes() == b"".join(whole[:2])
    log.append(11, {"loss": 11 / 3})
    assert log.path.read_bytes() == b"".join(whole[:3])


def test_nothing_to_truncate(log: MetricsLog) -> None:
    log.truncate_after(3)
    assert log.records() == []
    assert not log.path.exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^[^\n]*gone/metrics.jsonl[^\n]*$"):
        MetricsLog(tmp_path / "gone" / "metrics.jsonl").append(1, {})

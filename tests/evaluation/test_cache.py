"""The cache: what is the same is found, what differs is not, and damage costs time only."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from genkit.evaluation import cache
from genkit.evaluation.cache import Cache, identity_of, name_of, user_folder
from genkit.metrics.base import ProbeMetric
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.kernel import GaussianDiscrepancy, KernelDistance, SubsetKernelDistance
from genkit.metrics.manifold import Coverage, NeighbourDensity, Precision

VALUES = {"values": torch.tensor([1.0, float("nan"), -2.5], dtype=torch.float64)}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    assert cache.read("entry") is None
    cache.write("entry", VALUES)
    found = Cache(tmp_path / "new").read("entry")
    assert found is not None
    assert torch.equal(found["values"].nan_to_num(7.0), VALUES["values"].nan_to_num(7.0))
    assert cache.problem is None


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[:-3],
    "a changed byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "empty": lambda content: b"",
    "a changed sum": lambda content: b"0" * 64 + content[64:],
    "no tensors": lambda content: sha256(b"x").hexdigest().encode() + b"\nx",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_entry_is_none_and_can_be_replaced(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    cache = Cache(tmp_path)
    cache.write("entry", VALUES)
    file = tmp_path / "entry.bin"
    file.write_bytes(damage(file.read_bytes()))
    assert cache.read("entry") is None
    cache.write("entry", VALUES)
    assert cache.read("entry") is not None


def test_a_folder_that_cannot_be_used_is_said_and_costs_no_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file")
    assert cache.read("entry") is None
    cache.write("entry", VALUES)
    assert cache.problem is not None
    assert "going on without" in cache.problem


def test_the_folder_is_the_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "mine"))
    assert user_folder() == tmp_path / "mine"
    monkeypatch.delenv("GENKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert user_folder() == tmp_path / "xdg" / "genkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".cache" / "genkit"


def test_every_argument_of_a_metric_is_in_its_identity() -> None:
    metrics: list[ProbeMetric] = [
        *(
            Coverage(5),
            Coverage(4),
            NeighbourDensity(5),
            Precision(5),
            FrechetDistance(),
            KernelDistance(3),
            KernelDistance(2),
        ),
        *(GaussianDiscrepancy(), GaussianDiscrepancy((1.0,)), SubsetKernelDistance(), SubsetKernelDistance(seed=1)),
    ]
    names = {name_of("floor", {"metric": identity_of(metric)}) for metric in metrics}
    assert len(names) == len(metrics)
    assert identity_of(Coverage(5)) == identity_of(Coverage(5))


def test_a_name_is_the_same_in_any_order_and_differs_by_kind() -> None:
    assert name_of("a", {"x": 1, "y": [2]}) == name_of("a", {"y": [2], "x": 1})
    assert len({name_of("a", {"x": 1}), name_of("b", {"x": 1}), name_of("a", {"x": 2})}) == 3


def test_another_arithmetic_has_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    before = name_of("a", {"x": 1})
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert name_of("a", {"x": 1}) != before

"""Scores do not depend on the batch in which samples are drawn and features computed, whatever the family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_cases import arguments, done, mostly_slow

OF_SAMPLES = "fid,kid,precision,recall,density,coverage"
# a member of each family, what of it is scored (samples, and where there is one the likelihood or reconstruction), and
# in batches of how many
CASES = {
    "autoencoder": ((), f"[{OF_SAMPLES},mse]", (23,)),
    "vae": ((), f"[{OF_SAMPLES},elbo]", (16,)),
    "gan": ((), f"[{OF_SAMPLES}]", (23,)),
    "flow": ((), f"[{OF_SAMPLES}]", (16,)),
    "diffusion": (("sampler.steps=3",), f"[{OF_SAMPLES}]", (16,)),
}
N = 70  # fewer than the 64 dimensions of the features would have no interval


def numbers(size: int, *options: str) -> dict[str, list[float]]:
    """Per metric its value, its interval and the floor's mean, of batches of this size."""
    small = (f"n={N}", "bootstrap=3", "floor_repeats=1", "baselines=false", "cache=false")
    done("eval", *options, *small, f"batch_size={size}", f"out=out-{size}")
    records = json.loads(Path(f"out-{size}/results.json").read_text())["results"]
    scored = [record for record in records if record["value"] is not None]
    return {r["name"]: [r["value"], *(r["ci95"] or ()), (r["floor"] or {"mean": 0.0})["mean"]] for r in scored}


def assert_equal_in_any_batches(sizes: Sequence[int], *options: str) -> None:
    whole = numbers(500, *options)
    assert len(whole) >= 6
    for size in sizes:
        parts = numbers(size, *options)
        assert parts.keys() == whole.keys()
        for name, values in whole.items():
            assert parts[name] == pytest.approx(values, rel=1e-5, abs=1e-9), (name, size)


@pytest.mark.parametrize("family", mostly_slow(CASES, "diffusion"))
def test_scores_of_a_family_do_not_depend_on_the_batch(family: str, work: Path) -> None:
    options, metric, sizes = CASES[family]
    done(*arguments(family, *options, "trainer.max_steps=3", f"run_dir={work / 'run'}"))
    assert_equal_in_any_batches(sizes, f"ckpt={work / 'run'}", f"metric={metric}")


def test_scores_of_a_file_do_not_depend_on_the_batch(vae: Path, work: Path) -> None:
    done("sample", f"ckpt={vae}", f"n={N}", "out=samples")
    file = work / "samples" / "samples.npz"
    assert_equal_in_any_batches((16,), f"samples={file}", "data=digits", f"metric=[{OF_SAMPLES}]")

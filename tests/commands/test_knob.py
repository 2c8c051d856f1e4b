"""One checkpoint at several settings of its sampling: a curve, equal to scoring each setting alone."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from command_cases import done, refused

SMALL = ("n=70", "bootstrap=3", "floor_repeats=2", "baselines=false", "metric=[fid,coverage]")


def records(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Path(folder) / "results.json").read_text())["results"]
    return found


def test_a_swept_knob_gives_a_curve(diffusion: Path) -> None:
    done("eval", f"ckpt={diffusion}", "sweep.sampler.steps=[1,3]", "out=swept", *SMALL)
    done("eval", f"ckpt={diffusion}", "sampler.steps=3", "out=alone", *SMALL)
    assert sorted(path.name for path in Path("swept").iterdir()) == [
        "curve.csv",
        "curve.png",
        "results.csv",
        "results.json",
    ]
    values = {(r["source"], r["metric"]): r["value"] for r in records("swept")}
    for record in records("alone"):
        if record["metric"] in ("fid", "coverage"):
            assert values["steps=3", record["metric"]] == pytest.approx(record["value"], rel=1e-9)
    assert values["steps=1", "fid"] != values["steps=3", "fid"]
    rows = list(csv.DictReader(Path("swept/curve.csv").read_text().splitlines()))
    assert {row["sampler.steps"] for row in rows} == {"1", "3"}
    assert all(float(row["seconds_per_1000"]) > 0 for row in rows)


@pytest.mark.slow
def test_temperature_is_a_knob_too(flow: Path) -> None:
    done("eval", f"ckpt={flow}", "sweep.temperature=[0.5,1.0]", "out=swept", *SMALL, "metric=fid")
    assert [r["model"]["temperature"] for r in records("swept") if r["metric"] == "fid"] == [0.5, 1.0]


@pytest.mark.slow
def test_truncation_is_one_for_latents(gan: Path) -> None:
    done("eval", f"ckpt={gan}", "sweep.truncation=[0.3,3.0]", "out=swept", *SMALL, "metric=fid")
    assert [r["model"]["truncation"] for r in records("swept") if r["metric"] == "fid"] == [0.3, 3.0]
    done("sample", f"ckpt={gan}", "n=8", "truncation=0.3", "out=typical")
    assert json.loads(Path("typical/samples.json").read_text())["truncation"] == 0.3


REFUSED = {
    "two knobs": ("sweep.temperature=[1.0] sweep.sampler.steps=[2]", "one at a time"),
    "nothing": ("sweep.sampler.steps=[]", "at least one value"),
    "twice": ("sweep.sampler.steps=[2,2]", "twice"),
    "set too": ("sweep.sampler.steps=[2] sampler.steps=3", "cannot both be given"),
    "no number": ("sweep.sampler.steps=[fast]", "sweep.sampler.steps"),
    "no list": ("sweep.sampler.steps=0", "sweep.sampler.steps"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_sweep_that_makes_no_sense_is_refused(case: str, diffusion: Path) -> None:
    words, reason = REFUSED[case]
    assert reason in refused(2, "eval", f"ckpt={diffusion}", *words.split(), *SMALL, "out=out")
    assert not Path("out").exists()


def test_a_sweep_takes_one_checkpoint(diffusion: Path, vae: Path) -> None:
    assert "one checkpoint" in refused(2, "eval", f"ckpt=[{diffusion},{vae}]", "sweep.temperature=[1.0]", *SMALL)

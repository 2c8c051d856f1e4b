"""A model from outside declares what may be told to it at sampling; no file of genkit knows the word."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import QUICK, TOY, done, refused

import genkit as package

MODULE = '''
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import AtSampling, Range
from genkit.data.spec import Batch, DataSpec
from genkit.models.base import GenerativeModel, ModelFactory, Noise


class Own(GenerativeModel):
    """The mean of a teacher, or its own, beside the top_k first values of the noise."""

    def __init__(
        self,
        *,
        spec: DataSpec,
        top_k: Annotated[int, Range(0, 9), AtSampling("values that vary")] = 2,
        teacher: ModelFactory | None = None,
    ) -> None:
        super().__init__(spec)
        self.top_k, self.mean = top_k, torch.nn.Parameter(torch.zeros(spec.shape))
        self.of_another_name = None if teacher is None else teacher(spec=spec).requires_grad_(False)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return {"loss": (batch["x"] - self.mean - 9.0).square().mean()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        eps = noise(*self.spec.shape)
        eps[:, self.top_k :] = 0.0
        return self.mean + eps
'''
MODEL = "# @package _global_\nmodel: {_target_: own_of_test.Own, top_k: 2, teacher: null}\n"
PLUGIN = "plugins=[own_of_test]"


@pytest.fixture
def own(work: Path) -> Iterator[Path]:
    """A run of the model, one step long."""
    (work / "own_of_test.py").write_text(MODULE)
    (work / "conf" / "model").mkdir(parents=True)
    (work / "conf" / "model" / "own.yaml").write_text(MODEL)
    train("own")
    yield work / "own"
    sys.modules.pop("own_of_test", None)


def train(run: str, *more: str) -> None:
    plan = (*TOY, *QUICK, "trainer.max_steps=1", f"run_dir={run}")
    done("train", "--config-dir", "conf", "model=own", PLUGIN, *plan, *more)


def facts(file: str) -> Any:
    return json.loads(Path(file).read_text())


@pytest.mark.slow
def test_its_key_samples_sweeps_is_recorded_and_is_its_own(own: Path, vae: Path) -> None:
    done("sample", f"ckpt={own}", PLUGIN, "top_k=0", "n=5", "out=few")
    done("sample", f"ckpt={own}", PLUGIN, "n=5", "out=all")
    few, whole = (np.load(f"{out}/samples.npz")["x"] for out in ("few", "all"))
    assert (few == few[0]).all()
    assert (whole != whole[0]).any()
    assert (facts("few/samples.json")["top_k"], facts("all/samples.json")["top_k"]) == (0, None)
    small = ("n=70", "bootstrap=0", "floor_repeats=0", "baselines=false", "metric=mmd")
    done("eval", f"ckpt={own}", PLUGIN, "sweep.top_k=[1,2]", "out=swept", *small)
    results = facts("swept/results.json")["results"]
    assert [(r["source"], r["model"]["top_k"]) for r in results if r["metric"] == "mmd"] == [
        (f"top_k={k}", k) for k in (1, 2)
    ]
    said = refused(2, "sample", f"ckpt={vae}", PLUGIN, "top_k=1", "out=out")
    assert "top_k: genkit.models.vae.vae.VAE takes no such setting: leave it out" in said
    said = refused(2, "sample", f"ckpt={own}", PLUGIN, "sampler.steps=1", "out=out")
    assert "sampler: own_of_test.Own takes no such setting: leave it out; it has top_k" in said


def test_a_trained_model_inside_it_is_filled_whatever_its_attribute_is_called(own: Path) -> None:
    train("student", f"model.teacher={own}")
    inner = package.load("student", plugins=["own_of_test"]).of_another_name
    mean = package.load(own, plugins=["own_of_test"]).mean
    assert (inner.mean == mean).all()
    assert mean.abs().sum() > 0

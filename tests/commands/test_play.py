"""`genkit play`: words of its own, those of a training, and the page while it trains."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from command_cases import done, genkit, refused

from genkit.commands.play import PlaySettings

FEW = ("data.n_train=200", "data.batch_size=20", "samples.every_n_steps=0", "callbacks=playground",
       "callbacks.playground.n=50", "callbacks.playground.cells=16", "callbacks.playground.points=100")  # fmt: skip


def test_what_is_not_typed_is_a_flow_on_eight_gaussians():
    assert set(PlaySettings.of([]).words) >= {
        "model=flow",
        "data=toy",
        "callbacks=playground",
        "trainer.max_steps=1000",
    }
    assert "model=vae" in PlaySettings.of(["model=vae"]).words
    words = PlaySettings.of(["experiment=toy_gan_collapse"]).words
    assert not any(word.startswith(("model=", "data=", "trainer.max_steps=")) for word in words)
    assert not any(word.startswith("trainer.max_steps=") for word in PlaySettings.of(["budget=10s"]).words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["live=maybe"], "live=maybe"),
        (["port=x"], "port=x"),
        (["-m", "model=flow,vae"], "sweep"),
        (["resume=run"], "genkit train resume=run"),
        (["callbacks=early_stopping"], "playground"),
        (["data=digits", "model=vae"], "data=toy"),
        (["modle=flow"], "modle"),
    ],
)
def test_refusals(words, message):
    assert message in refused(2, "play", *words)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing_here"], 4, "nothing_here"),
        (["run", "again"], 2, "2 runs"),
        (["run", "model=flow"], 2, "model=flow: unknown argument"),
        (["run"], 4, "run: no checkpoint is kept"),
    ],
)
def test_refusals_of_a_run_that_is_named(words, code, message):
    for name in ("run", "again"):
        Path(name, "checkpoints").mkdir(parents=True)
    assert message in refused(code, "play", *words)


def test_a_run_of_other_data_or_of_points_of_unknown_density_is_refused():
    np.savez("points.npz", x=np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32))
    few = ("model=vae", "trainer.max_steps=1", "samples.every_n_steps=0", "metric=null")
    done("train", "data=digits", *few, "run_dir=digits")
    done("train", "data=arrays", "data.root=points.npz", *few, "run_dir=points")
    assert "genkit play digits: it shows points in the plane" in refused(2, "play", "digits")
    answer = genkit("play", "points")
    assert (answer.code, answer.err.count("error")) == (2, 1)
    assert "genkit play points: the density of these points is not known" in answer.err


@pytest.mark.slow
def test_it_is_seen_while_it_trains_and_an_interrupt_ends_it():
    command = [sys.executable, "-m", "genkit", "play", *FEW, "trainer.max_steps=1", "run_dir=out", "live=true"]
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)))
        assert b"A distribution being learned" in urlopen(address).read()
        found = {"verdict": ""}
        while not found["verdict"]:
            found = json.load(urlopen(f"{address}list"))
            time.sleep(0.1)
        assert urlopen(f"{address}{found['frames'][-1]['file']}").read().startswith(b"\x89PNG")
        next(line for line in lines if "stays until Ctrl-C" in line)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


@pytest.mark.slow
def test_a_collapsed_gan_and_a_bridging_vae_are_named():
    done("play", "experiment=toy_gan_collapse", "run_dir=gan")
    assert "mode collapse" in json.loads(Path("gan/playground/frames.json").read_text())["verdict"]
    done("play", "model=vae", "run_dir=vae")
    assert "bridges between modes" in json.loads(Path("vae/playground/frames.json").read_text())["verdict"]

"""What run.json and the records say of a training: work first, time with the machine's load."""

import json
from pathlib import Path
from typing import Any

from command_cases import arguments, done, run_json

from genkit.assembly.training_cost import Meter, configuration_hash

SMALL = ("metric=fid", "n=70", "bootstrap=0", "floor_repeats=0", "baselines=false")


def test_a_run_says_its_work_and_its_time_beside_the_load(vae: Path) -> None:
    info = run_json(vae)
    assert (info["step"], info["examples_seen"]) == (6, 6 * 32)
    assert info["parameters"] > 1000
    assert info["cpu_seconds"] > 0
    assert set(info["load"]) == {"start", "end"}


def test_records_say_which_training_a_model_is_of(vae: Path) -> None:
    steps = {}
    for name in ("step-00000004", "step-00000006"):
        done("eval", f"ckpt={vae / 'checkpoints' / name}", *SMALL, f"out={name}")
        [record] = json.loads(Path(name, "results.json").read_text())["results"]
        steps[name] = record["model"]
    first, last = steps.values()
    assert (first["step"], first["examples_seen"], last["examples_seen"]) == (4, 4 * 32, 6 * 32)
    assert first["config"] == last["config"]
    assert (last["train_seed"], last["parameters"]) == (0, run_json(vae)["parameters"])
    assert last["cpu_seconds"] == run_json(vae)["cpu_seconds"]
    assert "cpu_seconds" not in first  # it is of the whole run
    assert "sampling" not in first


CONFIG: dict[str, Any] = {
    "model": {"latent_dim": 4},
    "data": {"_target_": "d", "root": "/a"},
    "train": {"seed": 0, "plugins": [], "lr": 0.1, "data": {"_target_": "d", "root": "/a"}},
}


def test_the_hash_of_a_configuration_leaves_the_seed_and_the_place_of_the_data_out() -> None:
    elsewhere = {"_target_": "d", "root": "/b"}
    alike = {**CONFIG, "data": elsewhere, "train": {**CONFIG["train"], "seed": 7, "data": elsewhere}}
    assert configuration_hash(alike) == configuration_hash(CONFIG)
    for key, value in (("model", {"latent_dim": 5}), ("train", {**CONFIG["train"], "lr": 0.2})):
        assert configuration_hash({**CONFIG, key: value}) != configuration_hash(CONFIG)


def test_cpu_seconds_of_a_resumed_run_go_on_from_those_before() -> None:
    assert Meter({"cpu_seconds": 100.0}).read()["cpu_seconds"] >= 100.0
    assert Meter({}).read()["cpu_seconds"] < 100.0


def test_seeds_of_one_configuration_are_compared_as_one_row(work: Path) -> None:
    for seed in (0, 1):
        done(*arguments("vae", "trainer.max_steps=1", f"seed={seed}", f"run_dir=sweep/{seed}"))
        done("eval", f"ckpt=sweep/{seed}", *SMALL, f"out=sweep/{seed}/scores")
    assert "vae, 2 seeds" in done("compare", "sweep", "out=table")

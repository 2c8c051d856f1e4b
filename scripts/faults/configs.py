"""Malformed configurations, built in one process, and malformed inputs end to end: one line each, naming the culprit.

    python scripts/faults/configs.py --n 1000

A composed configuration of each model is broken in one place: a value of the wrong type or far outside its range, a
key that nobody knows, a key left out, a class that may not be named. Building it must raise a GenkitError whose message
names the key. Then the mistakes of tests/commands/test_bad_input.py are typed, each as a command of its own.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import random
import resource
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults import Tally, options, run_genkit, workplace

from genkit.assembly.run import build_parts
from genkit.config.hydra.app import run_app
from genkit.config.hydra.failure import failure_of
from genkit.config.settings import TrainSettings
from genkit.errors import GenkitError

MODELS = ("autoencoder", "vae", "gan", "flow", "diffusion")
TYPED_APART = {"run_dir", "resume", "allow", "debug", "plugins"}
WRONG: list[Any] = [
    float("nan"), float("inf"), -float("inf"), 2**70, -(2**70), 1e300, -1e300, "text", "", "${seed}", "é\n\x1b[31m", [],
    [[1, [2]]], {}, {"a": 1}, {"_target_": "os.system"}, {"_target_": "genkit.cli.os.system"}, {"_target_": 3},
    {"_target_": "genkit.models.vae.vae.Nothing"}, {"_target_": ""}, {"_target_": "genkit.models.vae.vae.VAE.__init__"},
    b"bytes", 3 + 4j, object(), ("a",),
]  # fmt: skip
CLASSES = ["builtins.eval", "os.system", "genkit.nn.mlp.MLPP", "subprocess.Popen", 3, None]
MEMORY = 12 * 2**30  # bytes of address space, so that an absurd size that passed does no harm


@functools.cache
def composed(model: str) -> dict[str, Any]:
    """The settings of `genkit train model=…`, as the verb receives them."""
    from omegaconf import OmegaConf

    found: list[Any] = []
    words = [f"model={model}", "data=toy", "data.n_train=100", "data.eval_n=50", "trainer=cpu"]

    def keep(config: Any) -> None:
        found.append(OmegaConf.to_container(config, resolve=True))

    run_app("train", words, keep)
    settings: dict[str, Any] = found[0]
    if settings["data"].get("root", 0) is None:
        del settings["data"]["root"]  # a placeholder, which the task takes out too
    return settings


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value below a node."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def parent_of(settings: dict[str, Any], path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda node, key: node[key], path[:-1], settings)


def broken(settings: dict[str, Any], dice: random.Random) -> tuple[dict[str, Any], tuple[Any, ...], str]:
    """A copy with one mistake, where it is, and what kind it is."""
    settings = copy.deepcopy(settings)
    paths = [path for path in places(settings) if path[0] not in TYPED_APART]
    path = dice.choice(paths)
    node, key = parent_of(settings, path), path[-1]
    kind = dice.choice(["value", "value", "value", "value", "unknown key", "class"])
    if kind == "unknown key" and isinstance(node, dict) and "_target_" in node:
        name = dice.choice(["nope", "", "a.b", "spec", "self", "__class__", "é", f"{key}x"])
        node[name] = 1
        return settings, (*path[:-1], name), kind
    if kind == "class" and isinstance(node, dict) and "_target_" in node:
        node["_target_"] = dice.choice(CLASSES)
        return settings, (*path[:-1], "_target_"), kind
    node[key] = dice.choice(WRONG)
    return settings, path, "value"


def attempt(number: int, tally: Tally, dice: random.Random) -> bool:
    """One broken configuration; False where the change was no mistake (a text where text is allowed)."""
    model = MODELS[number % len(MODELS)]
    settings, path, kind = broken(composed(model), dice)
    where = ".".join(map(str, path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            build_parts(TrainSettings.of(settings))
    except GenkitError as error:
        tally.add(f"refused: {kind}")
        message = failure_of(error).line
        top = str(path[0]).split(".")[0]
        tally.expect(top in message, "the message names no key", f"{model}: {where}: {message}")
        tally.expect("\n" not in message.strip(), "not one line", f"{where}: {message!r}")
    except Exception as error:
        value = functools.reduce(lambda node, key: node[key], path, settings)
        said = f"{model}: {where}={value!r}: {type(error).__name__}: {error}"
        tally.expect(False, "tracebacks", said[:400])
    else:
        tally.add("no mistake after all")
        return False
    return True


def end_to_end(work: Path, tally: Tally) -> None:
    """The mistakes that the tests know, each typed as a command."""
    sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "commands"))
    from test_bad_input import CASES, TRAIN

    for name in ("v", "d"):
        words = ("model.conditional=true", "sampler.steps=4") if name == "d" else ()
        model = "diffusion" if name == "d" else "vae"
        few = ("trainer.max_steps=2", "trainer=cpu", "samples.every_n_steps=0", f"run_dir={work / name}")
        code, said = run_genkit("train", f"model={model}", "backbone=mlp", *words, *few)
        assert code == 0, said
    (work / "full").mkdir()
    (work / "full" / "mine.txt").write_text("mine")
    (work / "model.ckpt").write_bytes(b"PK")
    for name in ("text", "points"):
        (work / f"{name}.npz").write_text("no array")
    with contextlib.chdir(work):
        for line, _, _ in CASES:
            verb, *typed = line.split()
            code, said = run_genkit(verb, *(TRAIN[1:] if verb == "train" else ()), *typed)
            tally.add("malformed inputs end to end")
            one = said.startswith("genkit: error: ") and said.count("\n") == 1 and "Traceback" not in said
            tally.expect(code in (2, 3, 4, 6) and one, "end to end: not one line", f"{line}: {code}: {said[-300:]}")


def main() -> int:
    arguments = options(__doc__, 1000)
    tally, dice = Tally(), random.Random(arguments.seed)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    os.environ.pop("GENKIT_DATA", None)  # some of the inputs are that no data is found
    number = refused = 0
    with workplace(arguments.folder) as work, contextlib.chdir(work):
        while refused < arguments.n:
            refused += attempt(number, tally, dice)
            number += 1
        end_to_end(work, tally)
    return tally.conclude("malformed configurations and inputs")


if __name__ == "__main__":
    sys.exit(main())

"""Hostile checkpoints: each tries another way to run code, to write outside, or to exhaust the memory.

    python scripts/faults/hostile.py

Every one has a sound manifest, as its author would give it. Loading it and sampling from it must be refused with one
line and exit code 4, leave the canary unwritten, and stay within the memory of a process.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from faults import Tally, options, run_genkit, train, workplace

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.write import write_checkpoint

CANARY = "canary"
MEMORY = 8 * 2**30
TARGETS = (
    "os.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "genkit.cli.os.system", "genkit.cli.main",
    "torch.load", "numpy.load", "pickle.loads", "runpy.run_path", "importlib.import_module", "webbrowser.open",
    "pathlib.Path.write_text", "shutil.copyfile", "asyncio.run", "sympy.sympify", "jinja2.Template", "code.interact",
    "genkit.storage.atomic.replace_file", "genkit.checkpoint.write.write_checkpoint", "genkit.models.vae.vae.nn.Module",
    "genkit.models.vae.vae.torch.load", "genkit.training.runner.fit", "genkit.config.resolve.import_plugin",
    "torch.optim.AdamW", "lightning.pytorch.loggers.CSVLogger", "evil_module.Model", "..evil_module.Model",
    "genkit.models..vae.VAE", "genkit.models.vae.vae.VAE.__init__", "genkit.models.vae.vae.VAE.__class__", "", " ",
    "genkit.data.sources.mnist.MNIST", "genkit.models.base.GenerativeModel",
)  # fmt: skip


def configs(good: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Configurations that a stranger may have written."""
    for target in TARGETS:
        node = {"_target_": target, "args": [f"touch {CANARY}"], "command": f"touch {CANARY}"}
        yield f"model._target_={target!r}", good | {"model": node}
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    changes: dict[str, Any] = {
        "a nested target": {"backbone": {"_target_": "os.system", "command": f"touch {CANARY}"}},
        "_partial_": {"_partial_": True},
        "_args_": {"_args_": [f"touch {CANARY}"]},
        "_convert_": {"_convert_": "all"},
        "_recursive_": {"_recursive_": False},
        "an environment variable": {"latent_dim": "${oc.env:HOME}"},
        "a resolver": {"latent_dim": "${oc.decode:1}"},
        "an absurd size": {"latent_dim": 65536},
        "a huge size": {"latent_dim": 2**60},
        "a negative size": {"latent_dim": -1},
        "a text for a size": {"latent_dim": f"__import__('os').system('touch {CANARY}')"},
        "a deep list": {"backbone": deep},
        "an absurd width": {"backbone": {"_target_": "genkit.nn.mlp.MLP", "width": 65536, "depth": 1024}},
        "a dunder": {"__class__": "x"},
        "a list for a model": {"_target_": ["os.system"]},
        "a mapping for a target": {"_target_": {"_target_": "os.system"}},
    }
    for name, change in changes.items():
        yield name, good | {"model": good["model"] | change}
    yield "a model that is a list", good | {"model": []}
    yield "no model", {key: value for key, value in good.items() if key != "model"}
    yield "a spec of another kind", good | {"spec": {"_target_": "os.system"}}
    yield "an absurd shape", good | {"spec": good["spec"] | {"shape": [2**30, 2**30]}}
    yield "plugins", good | {"plugins": ["evil_module"], "model": {"_target_": "evil_module.Model"}}


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Folders that are wrong below their configuration."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(folder, folder.parent / name))

    pickled = copy("pickled")
    torch.save({"w": torch.ones(2)}, pickled / "model.safetensors")
    yield "a pickle as weights", pickled
    linked = copy("linked")
    (linked / "model.safetensors").unlink()
    (linked / "model.safetensors").symlink_to("/etc/passwd")
    yield "a link as weights", linked
    header = copy("header")
    (header / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    yield "a header of 4 EiB", header
    piped = copy("piped")
    (piped / "config.json").unlink()
    os.mkfifo(piped / "config.json")
    yield "a pipe as configuration", piped
    outside = copy("outside")
    manifest = json.loads((outside / "manifest.json").read_text())
    manifest["files"]["../../canary"] = manifest["files"]["config.json"]
    (outside / "manifest.json").write_text(json.dumps(manifest))
    yield "a path out of the folder", outside
    nested = copy("nested")
    (nested / "config.json").write_text("[" * 10**6)
    yield "brackets without end", nested
    big = copy("big")
    os.truncate(big / "manifest.json", 2**34)
    yield "a manifest of 16 GiB", big


def attempt(name: str, path: Path, tally: Tally) -> None:
    code, said = run_genkit("sample", f"ckpt={path}", "n=1", "out=out")
    tally.add("hostile checkpoints")
    tally.expect(code == 4, "not refused", f"{name}: {code} {said[-200:]}")
    tally.expect(said.count("\n") == 1 and "Traceback" not in said, "not one line", f"{name}: {said[-300:]}")
    tally.expect(not Path(CANARY).exists(), "code that ran", name)
    tally.expect(not Path("out").exists() and "evil_module" not in sys.modules, "files written, code imported", name)


def main() -> int:
    arguments, tally = options(__doc__, 60), Tally()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with workplace(arguments.folder) as work:
        os.chdir(work)
        sys.path.append(str(work))
        Path("evil_module.py").write_text(f"open({CANARY!r}, 'w')\nclass Model: pass\n")
        few = ("trainer.max_steps=2", "samples.every_n_steps=0", "run_dir=run")
        code, said = run_genkit(*train("vae", *few))
        assert code == 0, said
        source = open_checkpoint("run/checkpoints/step-00000002")
        good, weights = source.config(), source.model()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
        for number, (name, config) in enumerate(configs(good)):
            attempt(name, write_checkpoint(Path(f"evil-{number}"), 1, config=config, model=weights), tally)
        for name, path in files(write_checkpoint(Path("files"), 1, config=good, model=weights)):
            attempt(name, path, tally)
        os.chdir(work.parent)
    return tally.conclude("hostile checkpoints")


if __name__ == "__main__":
    sys.exit(main())

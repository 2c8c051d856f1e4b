"""Store a tiny trained run of each family, as this version writes it: `python scripts/store_checkpoints.py FOLDER`.

FOLDER/<name> is a whole run folder (pictures left out) with `expected.npz`, 16 samples of seed 0: what the model gives
("model"), what they are stored as ("stored"), their labels. FOLDER/machine.json says how this machine calculates. Run
it once when the form of a checkpoint changes, with a new folder beside the earlier ones in `tests/formats/`, and keep
those: `tests/formats/test_stored.py` loads, samples and resumes every one of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from genkit.assembly.restore import load_model
from genkit.cli import main
from genkit.models.stream import stream_samples
from genkit.noise import generator_of

SAMPLES = 16
MLP = ("backbone=mlp", "backbone.width=8", "backbone.depth=1")
LATENT = (*MLP, "model.latent_dim=3")
CODES = ("model.tokens=2", "quantizer.num_codes=8", "quantizer.channels=3")
PRIOR = tuple(f"code_prior.{word}" for word in ("features=8", "depth=1", "heads=2"))
IMAGES = ("levels=1", "hidden_channels=4", "top_features=4", "depth=1")
STORED = {
    "autoencoder": ("model=autoencoder", *LATENT, "latent_density=mixture", "latent_density.components=2"),
    "vae": ("model=vae", *LATENT),
    "cvae": ("model=cvae", *LATENT),
    "vq_vae": ("model=vq_vae", *MLP, *CODES, *PRIOR),
    "gan": ("model=gan", *LATENT),
    "infogan": ("model=infogan", *MLP, "model.latent_dim=16"),
    "flow": ("model=flow", *(f"model.transform.image.{word}" for word in IMAGES)),
    "diffusion": ("model=diffusion", *MLP, "sampler.steps=4"),
    "conditional_diffusion": ("model=diffusion", *MLP, "sampler.steps=4", "model.conditional=true"),
    "latent_diffusion": ("model=latent_diffusion", "model.autoencoder=vae", *MLP, "sampler.steps=4"),
}
QUICK = (
    *("trainer=cpu", "trainer.max_steps=4", "trainer.val_every_n_steps=4", "trainer.log_every_n_steps=2"),
    *(
        "checkpoint.every_n_steps=4",
        "checkpoint.keep=1",
        "samples.every_n_steps=0",
        "data=digits",
        "data.batch_size=16",
    ),
)
UNUSED = ("samples", "loss.png", ".lock")
ELSEWHERE = {"host": "elsewhere", "git": None, "platform": "elsewhere"}


def arithmetic() -> str:
    """Hash of what this machine makes of sums, products and functions: equal where it rounds as another one does."""
    x, w = (torch.randn(64, 64, generator=generator_of(0, name)) for name in ("x", "w"))
    images = functional.conv2d(x.view(4, 16, 8, 8), w.view(16, 16, 4, 4), padding=1)
    parts = (x @ w, images, x.softmax(1), torch.special.erf(x), x.exp().log1p(), x.sin(), x.cumsum(0), x.var(0))
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def machine() -> dict[str, str]:
    """What decides whether samples are equal to the last bit."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "cpu_capability": capability, "arithmetic": arithmetic()}


def expected(run: Path) -> dict[str, Any]:
    """Arrays of 16 samples of seed 0."""
    model = load_model(run)
    with torch.no_grad():
        ((x, y),) = stream_samples(model, SAMPLES, seed=0, batch_size=SAMPLES)
    labels = {} if y is None else {"y": y.numpy()}
    return {"model": x.numpy(), "stored": model.spec.unscale(x).numpy(), **labels}


def store(name: str, words: tuple[str, ...]) -> None:
    """Train a run in the working directory, leave out what no test reads, and note its samples."""
    run = Path(name)
    if main(["train", *words, *QUICK, f"run_dir={name}"]):
        raise SystemExit(f"{name} was not trained")
    for entry in (run / unused for unused in UNUSED):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    info = json.loads((run / "run.json").read_text("utf-8"))
    for record in (info, *info["history"]):
        record |= {key: value for key, value in ELSEWHERE.items() if key in record}
    (run / "run.json").write_text(json.dumps(info, indent=1, sort_keys=True) + "\n", "utf-8")
    np.savez_compressed(run / "expected.npz", **expected(run))


def store_all(folder: Path) -> None:
    """Every run of `STORED` into a new folder."""
    folder, before = folder.absolute(), Path.cwd()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="genkit-") as scratch:
        os.chdir(scratch)
        try:
            for name, words in STORED.items():
                store(name, words)
            Path("machine.json").write_text(json.dumps(machine(), indent=1) + "\n", "utf-8")
            shutil.copytree(scratch, folder)
        finally:
            os.chdir(before)
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {len(STORED)} runs, {total:,} bytes")


if __name__ == "__main__":
    store_all(Path(sys.argv[1]))

"""Rebuild the shipped feature networks: `python scripts/build_features.py digits|mnist|cifar [--out FOLDER]`.

Prints the test accuracy and the two sha256 that go into `genkit.features.classifier.PINNED`. Training is deterministic
on one build of torch and one machine, no further: the shipped weights are the definition, this script their provenance.
`--data FOLDER_OR_FILE`, else `$GENKIT_DATA`, holds `mnist.npz` with x_train, y_train, x_test, y_test, and CIFAR-10 as a
`.zip` of pictures, `train/<class>/<name>` and `test/<class>/<name>`, 32x32 RGB in any format.
The recipe is that of `genkit.features.classifier_training`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from genkit.data.dataset import SplitName
from genkit.data.sources.digits import Digits
from genkit.features.classifier import WEIGHTS, FeatureNet
from genkit.features.classifier_training import ClassifierRecipe, Training, accuracy, batches_of, statistics
from genkit.features.raw import DEAD


@dataclass(frozen=True)
class Labelled:
    """x (N, C, H, W) in [0, 1] float32 and y (N,) int64."""

    x: Tensor
    y: Tensor


RECIPES = {
    "digits": ClassifierRecipe((1, 8, 8), 17, ((32, 3, False), (64, 3, True), (64, 3, False)), dim=64),
    "mnist": ClassifierRecipe(
        (1, 28, 28),
        256,
        ((16, 3, True), (32, 3, True), (48, 3, False)),
        dim=128,
        epochs=14,
        batch_size=128,
        rotation=15.0,
        scale=0.15,
        shear=0.15,
        shift=2.0,
    ),
    "cifar": ClassifierRecipe(
        (3, 32, 32),
        256,
        ((32, 3, True), (64, 3, True), (96, 3, False), (96, 3, True)),
        dim=128,
        epochs=6,
        batch_size=128,
        shift=3.0,
    ),
}


def read_digits() -> tuple[Labelled, Labelled]:
    """The 898 training and validation images, and the 899 test images that the network must not see."""
    digits, parts = Digits(), []
    for name in get_args(SplitName):
        split = digits.split(name)
        assert split.y is not None
        parts.append(Labelled(split.x.float() / (RECIPES["digits"].levels - 1), split.y))
    train, val, test = parts
    return Labelled(torch.cat([train.x, val.x]), torch.cat([train.y, val.y])), test


def read_mnist(path: Path) -> tuple[Labelled, Labelled]:
    """The training and test images of an `.npz`, or of `mnist.npz` in a folder."""
    with np.load(path / "mnist.npz" if path.is_dir() else path, allow_pickle=False) as file:
        parts = {key: torch.from_numpy(file[key]) for key in ("x_train", "y_train", "x_test", "y_test")}
    train, test = (
        Labelled(parts[f"x_{name}"][:, None].float() / 255, parts[f"y_{name}"].long()) for name in ("train", "test")
    )
    return train, test


def read_cifar(path: Path) -> tuple[Labelled, Labelled]:
    """The training and test images of a `.zip` of pictures, or of the one such file in a folder."""
    found = sorted(path.glob("cifar10*.zip")) if path.is_dir() else [path]
    if len(found) != 1:
        sys.exit(f"{path} holds {len(found)} files cifar10*.zip: name one with --data")
    with zipfile.ZipFile(found[0]) as file:
        names = sorted(name for name in file.namelist() if not name.endswith("/"))
        classes = sorted({name.split("/")[-2] for name in names})
        train, test = (_pictures(file, names, part, classes) for part in ("train", "test"))
    return train, test


def _pictures(file: zipfile.ZipFile, names: list[str], part: str, classes: list[str]) -> Labelled:
    chosen = [name for name in names if name.split("/")[-3] == part]
    images = np.stack([np.asarray(Image.open(file.open(name)).convert("RGB")) for name in chosen])
    y = torch.tensor([classes.index(name.split("/")[-2]) for name in chosen])
    return Labelled(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255, y)


def train(recipe: ClassifierRecipe, data: Labelled, test: Labelled) -> FeatureNet:
    """The trained network, batch normalisation folded, in eval mode."""
    training = Training(recipe, lambda index: data.x[index], data.y)
    for epoch, net in enumerate(training, 1):
        print(f"epoch {epoch}/{recipe.epochs}: test accuracy {accuracy(net, test.x, test.y):.4f}", flush=True)
    return training.result()


READERS = {"mnist": read_mnist, "cifar": read_cifar}


def write(name: str, net: FeatureNet, facts: dict[str, object], out: Path) -> None:
    """NAME.safetensors (float16) and NAME.json, and the two hashes on the terminal."""
    weights = save({key: value.contiguous() for key, value in sorted(net.state_dict().items())})
    sidecar = (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.safetensors").write_bytes(weights)
    (out / f"{name}.json").write_bytes(sidecar)
    for part in (weights, sidecar):
        print(f"{len(part):>8} bytes  sha256 {hashlib.sha256(part).hexdigest()}")


def build(name: str, data: Labelled, test: Labelled, out: Path) -> None:
    """Train, round the weights to float16, and measure everything that is stored on the rounded network."""
    recipe = RECIPES[name]
    stored = train(recipe, data, test).half()
    net = recipe.net().eval()
    net.load_state_dict(stored.state_dict())
    score = accuracy(net, test.x, test.y)
    mean, sd, mask = (values.tolist() for values in statistics(net, batches_of(data.x), DEAD))
    facts = {"name": name, "layer": f"fc{recipe.dim}", "recipe": asdict(recipe), "accuracy": score}
    write(name, stored, {**facts, "mean": mean, "sd": sd, "mask": mask}, out)
    print(f"{name}: test accuracy {score:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, default=os.environ.get("GENKIT_DATA"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    if args.name in READERS and args.data is None:
        sys.exit(f"{args.name} is made from your own file: give --data FOLDER_OR_FILE or set GENKIT_DATA")
    torch.use_deterministic_algorithms(True)
    data, test = READERS[args.name](Path(args.data)) if args.name in READERS else read_digits()
    build(args.name, data, test, args.out)


if __name__ == "__main__":
    main()

"""Rebuild the shipped feature networks: `python scripts/build_features.py digits|mnist|cifar [--out FOLDER]`.

Prints the test accuracy and the two sha256 that go into `genkit.features.classifier.PINNED`. Training is deterministic
on one build of torch and one machine, no further: the shipped weights are the definition, this script their provenance.
`--data FOLDER_OR_FILE`, else `$GENKIT_DATA`, holds `mnist.npz` with x_train, y_train, x_test, y_test, and CIFAR-10 as a
`.zip` of pictures, `train/<class>/<name>` and `test/<class>/<name>`, 32x32 RGB in any format.

Recipe: AdamW with a one-cycle rate, batch normalisation folded into the convolutions afterwards, affine augmentation
(rotation, scale, shear, shift) and pixel noise of random strength, so that features stay meaningful on noisy samples.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genkit.data.dataset import SplitName
from genkit.data.sources.digits import Digits
from genkit.features.classifier import WEIGHTS, FeatureNet
from genkit.features.raw import DEAD


@dataclass(frozen=True)
class Recipe:
    """How one network is made. Shifts are in pixels, angles in degrees; scale and shear are relative."""

    shape: tuple[int, int, int]
    levels: int
    blocks: tuple[tuple[int, int, bool], ...]
    dim: int
    num_classes: int = 10
    epochs: int = 15
    batch_size: int = 64
    lr: float = 4e-3
    weight_decay: float = 0.05
    rotation: float = 10.0
    scale: float = 0.1
    shear: float = 0.1
    shift: float = 1.0
    noise: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Labelled:
    """x (N, C, H, W) in [0, 1] float32 and y (N,) int64."""

    x: Tensor
    y: Tensor


RECIPES = {
    "digits": Recipe((1, 8, 8), 17, ((32, 3, False), (64, 3, True), (64, 3, False)), dim=64),
    "mnist": Recipe(
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
    "cifar": Recipe(
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


def affine(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Each image (B, C, H, W) under its own small random affine map."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(x), generator=generator) * 2 - 1) * limit

    angle, shear = uniform(math.radians(recipe.rotation)), uniform(recipe.shear)
    zoom, dx, dy = 1 + uniform(recipe.scale), uniform(recipe.shift), uniform(recipe.shift)
    half = x.shape[-1] / 2
    top = torch.stack([zoom * angle.cos(), zoom * (shear * angle.cos() - angle.sin()), dx / half], dim=1)
    bottom = torch.stack([zoom * angle.sin(), zoom * (shear * angle.sin() + angle.cos()), dy / half], dim=1)
    grid = nn.functional.affine_grid(torch.stack([top, bottom], dim=1), list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


def augment(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Affine map and pixel noise, half of the images noiseless, clipped to [0, 1]."""
    strength = recipe.noise * (2 * torch.rand(len(x), 1, 1, 1, generator=generator) - 1).clamp(min=0)
    return (affine(x, recipe, generator) + strength * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def with_batch_norm(net: FeatureNet) -> FeatureNet:
    """The same network with batch normalisation behind every convolution."""
    layers: list[nn.Module] = []
    for layer in net.trunk:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    net.trunk = nn.Sequential(*layers)
    return net


def folded(net: FeatureNet) -> FeatureNet:
    """The batch normalisations folded into the convolutions before them."""
    layers: list[nn.Module] = []
    for layer in net.trunk:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = layers.pop()
            assert isinstance(convolution, nn.Conv2d)
            layers.append(fuse_conv_bn_eval(convolution, layer))
        else:
            layers.append(layer)
    net.trunk = nn.Sequential(*layers)
    return net


def batches(data: Labelled, recipe: Recipe, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of augmented batches; a last incomplete one is left out."""
    order = torch.randperm(len(data.x), generator=generator)
    for index in order.split(recipe.batch_size)[: len(order) // recipe.batch_size]:
        yield augment(data.x[index], recipe, generator), data.y[index]


def train(recipe: Recipe, data: Labelled, test: Labelled) -> FeatureNet:
    """The trained network, batch normalisation folded, in eval mode."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    net = with_batch_norm(FeatureNet(recipe.shape, recipe.blocks, recipe.dim, recipe.num_classes))
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * (len(data.x) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
    for epoch in range(recipe.epochs):
        net.train()
        for x, y in batches(data, recipe, generator):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x.contiguous(memory_format=torch.channels_last)), y).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{recipe.epochs}: test accuracy {accuracy(net.eval(), test):.4f}", flush=True)
    return folded(net.eval()).to(memory_format=torch.contiguous_format)


READERS = {"mnist": read_mnist, "cifar": read_cifar}


@torch.no_grad()
def accuracy(net: FeatureNet, data: Labelled) -> float:
    right = sum(int((net(x).argmax(1) == y).sum()) for x, y in zip(data.x.split(500), data.y.split(500), strict=True))
    return right / len(data.x)


@torch.no_grad()
def statistics(net: FeatureNet, x: Tensor) -> dict[str, list[float] | list[bool]]:
    """Mean, standard deviation and mask of live units (F,) over x."""
    f = torch.cat([net.features(part) for part in x.split(500)]).double()
    sd = f.std(0)
    return {"mean": f.mean(0).tolist(), "sd": sd.tolist(), "mask": (sd >= DEAD * sd.median()).tolist()}


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
    net = FeatureNet(recipe.shape, recipe.blocks, recipe.dim, recipe.num_classes).eval()
    net.load_state_dict(stored.state_dict())
    score = accuracy(net, test)
    facts = {"name": name, "layer": f"fc{recipe.dim}", "recipe": asdict(recipe), "accuracy": score}
    write(name, stored, {**facts, **statistics(net, data.x)}, out)
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

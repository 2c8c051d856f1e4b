"""All families on all data, one table per dataset: `scripts/reproduce.py OUT [digits|toy|mnist …] [key=value …]`.

Each family trains with its defaults through the command line, then one `genkit eval` scores them side by side. MNIST is
read from $GENKIT_DATA. What a run cost stands in `OUT/<data>/cost.txt`, in CPU seconds summed over threads.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

FAMILIES = ("autoencoder", "vae", "gan", "flow", "diffusion", "ebm")
DATA = {"digits": (*FAMILIES, "pixel_cnn"), "toy": FAMILIES, "mnist": (*FAMILIES, "pixel_cnn")}  # levels alone in order


def genkit(*words: str) -> None:
    """One command line; stops everything where it fails."""
    print("genkit", *words, flush=True)
    subprocess.run([sys.executable, "-m", "genkit", *words], check=True)


def cpu_seconds() -> float:
    """Of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def reproduce(out: Path, data: str, overrides: list[str]) -> None:
    """Train and score every family that models a dataset."""
    folder = out / data
    folder.mkdir(parents=True)
    costs = []
    for family in DATA[data]:
        before = cpu_seconds()
        genkit("train", f"model={family}", f"data={data}", f"run_dir={folder / family}", *overrides)
        costs.append(f"{family:12} {cpu_seconds() - before:7.1f} CPU s\n")
        genkit("sample", f"ckpt={folder / family}", f"out={folder / f'{family}-samples'}", "n=100")
    (folder / "cost.txt").write_text("".join(costs))
    runs = ",".join(str(folder / family) for family in DATA[data])
    genkit("eval", f"ckpt=[{runs}]", f"out={folder / 'scores'}")


def main() -> None:
    """The command line of this script."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1]).resolve()
    chosen = [word for word in sys.argv[2:] if "=" not in word] or list(DATA)
    for data in chosen:
        reproduce(out, data, [word for word in sys.argv[2:] if "=" in word])


if __name__ == "__main__":
    main()

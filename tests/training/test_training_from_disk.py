"""Training on data on disk is training on the same data in memory, to the last bit."""

from pathlib import Path

from training_cases import Mean, Points, difference, module_of, new, run_in

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.run_folder import METRICS
from genkit.data.on_disk import Layout, OnDisk, prepared


def test_losses_and_weights_are_the_same(tmp_path: Path) -> None:
    memory, disk = Points(), Points()
    disk.splits = {
        name: prepared(split.chunks(7), Layout(len(split), split.shape, "float32"), {"split": name}, folder=tmp_path)
        for name, split in memory.splits.items()
    }
    assert all(isinstance(split, OnDisk) for split in disk.splits.values())
    modules, losses = [], []
    for name, data in (("memory", memory), ("disk", disk)):
        modules.append(module_of(new(Mean), check_every=1))
        run_in(tmp_path / name, modules[-1], dataset=data, log_every_n_steps=1)
        losses.append(
            [{k: v for k, v in line.items() if "loss" in k} for line in MetricsLog(tmp_path / name / METRICS).records()]
        )
    assert len(losses[0]) >= 12
    assert losses[0] == losses[1]
    assert difference(*modules) == 0

"""What a resumed run takes over: the best of its steps, and the settings of now at the rate of its step."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from genkit.assembly.continuation import OptimizerSettings, best_until
from genkit.checkpoint.retention import CHECKPOINTS, step_name
from genkit.checkpoint.run_folder import METRICS


@pytest.mark.parametrize(
    ("until", "options", "best"),
    [
        (1, {"monitor": "val/loss"}, 1),
        (2, {"monitor": "val/loss", "mode": "min"}, None),  # the best of these steps, 2, is gone
        (3, {"monitor": "val/loss", "mode": "max"}, 1),
        (4, {"monitor": "val/loss"}, 4),
        (4, {"monitor": None}, None),
        (4, {"monitor": "val/other"}, None),
        (0, {"monitor": "val/loss"}, None),
    ],
)
def test_the_best_up_to_a_step_is_a_checkpoint_that_stands(
    until: int, options: dict[str, Any], best: int | None, tmp_path: Path
) -> None:
    scores = {1: 5.0, 2: 3.0, 3: 4.0, 4: 1.0}
    lines = [json.dumps({"step": step, "val/loss": score}) + "\n" for step, score in scores.items()]
    (tmp_path / METRICS).write_text("".join(lines))
    for step in (1, 3, 4):
        (tmp_path / CHECKPOINTS / step_name(step)).mkdir(parents=True)
    assert best_until(tmp_path, until, options) == (None if best is None else step_name(best))


def test_a_restored_optimizer_has_the_settings_of_now_at_the_rate_of_its_step() -> None:
    def made(lr: float, weight_decay: float) -> dict[str, Any]:
        optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=lr, weight_decay=weight_decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, lambda step: 1 / (1 + step))}}

    restored, fresh = made(1.0, 0.1), made(0.3, 0.0)
    optimizer, schedule = restored["optimizer"], restored["lr_scheduler"]["scheduler"]
    schedule.last_epoch = 3
    trainer: Any = SimpleNamespace(
        global_step=3, optimizers=[optimizer], lr_scheduler_configs=[SimpleNamespace(scheduler=schedule)]
    )
    module: Any = SimpleNamespace(configure_optimizers=lambda: fresh)
    OptimizerSettings().on_train_start(trainer, module)
    (group,) = optimizer.param_groups
    assert group["lr"] == pytest.approx(0.3 / 4)
    assert group["weight_decay"] == 0.0
    optimizer.step()
    schedule.step()
    assert group["lr"] == pytest.approx(0.3 / 5)

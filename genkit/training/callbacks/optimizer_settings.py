"""Settings of an optimizer that a resumed run may have changed, such as its rate."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl


class OptimizerSettings(pl.Callback):
    """Gives a restored optimizer the settings of the configuration: its state would bring the old ones back."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fresh: Any = pl_module.configure_optimizers()
        scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
        scheduler.base_lrs = fresh["lr_scheduler"]["scheduler"].base_lrs
        factors = [function(trainer.global_step) for function in scheduler.lr_lambdas]
        groups = trainer.optimizers[0].param_groups, fresh["optimizer"].param_groups
        for group, new, base, factor in zip(*groups, scheduler.base_lrs, factors, strict=True):
            group.update({key: value for key, value in new.items() if key != "params"} | {"lr": base * factor})

"""The linear measurement that `genkit restore` undoes: which operator, and how much noise.

The noise of a user's own picture is measured in it for task=denoise: the finest diagonal details of an image are mostly
noise, and the median of their size is its standard deviation times 0.6745 (Donoho & Johnstone 1994).
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from genkit.config.settings import RestoreSettings
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.inverse.linear_task import AveragePool, Blur, Identity, LinearTask

USUAL_NOISE = {"denoise": 0.2, "deblur": 0.01, "super_resolve": 0.01}  # shares of the data's range
LEAST = 1e-3  # of the range: no measurement is without noise
MEDIAN = 0.6745  # of |ε|, ε standard normal


def task_for(spec: DataSpec, settings: RestoreSettings, picture: Tensor | None) -> LinearTask:
    """The measurement.

    Args:
        spec: The data.
        settings: Of the verb.
        picture: A user's own measurements (n, *shape), whose noise is measured where `noise=` does not say it.

    Raises:
        ConfigError: the task does not go with the data.
    """
    width = 1.0 if spec.value_range is None else spec.value_range[1] - spec.value_range[0]
    measured = (
        picture is not None and settings.task == "denoise" and settings.noise is None and spec.modality == "image"
    )
    if measured and picture is not None:
        sigma = estimated_noise(picture)
    else:
        share = USUAL_NOISE[settings.task] if settings.noise is None else settings.noise
        sigma = width * share
    sigma = max(sigma, LEAST * width)
    if settings.task == "denoise":
        if not spec.kind.model_dtype.is_floating_point:
            raise ConfigError(f"task=denoise: {spec.modality} data has no noise to remove: choose another model")
        return Identity(spec.shape, sigma)
    if settings.task == "deblur":
        return Blur(spec.shape, settings.blur, sigma)
    return AveragePool(spec.shape, settings.factor, sigma)


def measured_spec(spec: DataSpec, settings: RestoreSettings) -> DataSpec:
    """The data that a user's own picture is read as, of a small picture with its size."""
    shape = task_for(spec, settings, None).out_shape
    return spec if shape == spec.shape else replace(spec, shape=shape)


def estimated_noise(x: Tensor) -> float:
    """Standard deviation of the noise of images x (n, C, H, W), from their finest diagonal details."""
    height, width = (size - size % 2 for size in x.shape[-2:])
    x = x[..., :height, :width]
    details = (x[..., ::2, ::2] - x[..., 1::2, ::2] - x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 2
    return float(details.abs().median()) / MEDIAN

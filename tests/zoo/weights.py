"""How does a network with random weights come to behave like a trained one?

Freshly built networks are poor subjects: batch norms which pass everything through, biases at zero,
attention switched off by a gate at zero, logits near 1e-3. A fault of conversion in such a place
can't be seen. So all weights are drawn anew, and the batch norms get the statistics that really
arise in the network. Runs in the Paddle environments only.
"""

from __future__ import annotations

import zlib  # noqa: F401  (before paddle: libpaddle 2.6 brings one that crashes later imports)
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

VARIANCE_FLOOR = 1e-4
"""Least running variance: a channel that is constant over the images must not amplify rounding."""

CALIBRATION_PASSES = 3


def randomise(model: nn.Layer, rng: np.random.Generator) -> None:
    """Give every parameter of `model` a value such as training might have left, none trivial."""
    seen: set[int] = set()
    for layer in model.sublayers(include_self=True):
        for name, parameter in layer._parameters.items():
            if parameter is None or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            old = parameter.numpy()
            parameter.set_value(_draw(layer, name, old, rng).astype(old.dtype))


def _draw(layer: nn.Layer, name: str, old: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Draw a value for the parameter `name` of `layer` that stands in for `old`."""
    if name == "bias":
        return rng.normal(0.0, 0.1, old.shape)
    if name == "weight" and old.ndim <= 1:  # the scale of a norm, the slope of a PReLU
        low, high = (0.1, 0.4) if isinstance(layer, nn.PReLU) else (0.5, 1.5)
        return rng.uniform(low, high, old.shape)
    if name == "weight" and isinstance(layer, nn.Linear):
        return rng.normal(0.0, old.shape[0] ** -0.5, old.shape)
    if name == "weight" and old.ndim >= 3:  # a convolution keeps the variance through a ReLU
        return rng.normal(0.0, (2.0 / np.prod(old.shape[1:])) ** 0.5, old.shape)
    if old.size == 1 or np.ptp(old) == 0:  # gates and layer scales, which start at 0 or 1e-6
        return rng.uniform(0.5, 1.5, old.shape)
    # Embeddings. Not left as they are, since each Paddle release draws its own from the same seed.
    return rng.normal(0.0, 0.2, old.shape)


def calibrate(model: nn.Layer, batches: list[NDArray[np.float32]]) -> None:
    """Set the running statistics of all batch norms to those of the activations over `batches`.

    Only the batch norms are put in training mode, so that the network takes the path it takes at
    inference, without dropout or auxiliary heads. The momentum makes the running values the plain
    mean over the batches.
    """
    model.eval()
    norms = [layer for layer in model.sublayers(include_self=True) if _has_statistics(layer)]
    for layer in norms:
        layer.training = True
    with paddle.no_grad():
        for done, batch in enumerate(batches):
            for layer in norms:
                layer._momentum = done / (done + 1)
            model(paddle.to_tensor(batch))
    for layer in norms:
        layer.training = False
        floor = paddle.full_like(layer._variance, VARIANCE_FLOOR)
        layer._variance.set_value(paddle.maximum(layer._variance, floor))


def _has_statistics(layer: nn.Layer) -> bool:
    return hasattr(layer, "_variance") and hasattr(layer, "_momentum")

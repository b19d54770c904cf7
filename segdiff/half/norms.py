"""What does a batch norm compute? Its statistics in float64, and the forms that devices give it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdiff.core.graph import Array, Graph, Op

EPSILON = 1e-5
"""Of a BatchNormalization that states none."""

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

SAME_RANK = frozenset(
    {
        "BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSwish", "HardSigmoid",
        "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Resize", "Dropout", "Identity",
    }
)  # fmt: skip
"""Operators whose result has the rank of what they read."""

NEAR = 32
"""Values that are looked at for a rank."""

INFERENCE = 7
"""The opset from which a batch norm is one of inference unless it says otherwise."""


@dataclass(frozen=True, eq=False)
class Norm:
    """One batch norm with constant statistics: ``(x - mean) / sigma * scale + offset`` for each channel.

    ``rank`` is that of its input, None where the file does not tell. The arrays are float64, one number a
    channel; ``variance`` is without the epsilon.
    """

    op: Op
    scale: Array
    offset: Array
    mean: Array
    variance: Array
    epsilon: float
    rank: int | None

    @property
    def sigma(self) -> Array:
        """The square root of variance plus epsilon."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(self.variance + self.epsilon))

    @property
    def factor(self) -> Array:
        """``a`` of ``a * x + b``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.scale / self.sigma)

    @property
    def shift(self) -> Array:
        """``b`` of ``a * x + b``."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.offset - self.mean * self.factor)

    @property
    def alpha(self) -> Array:
        """``alpha`` of Ascend's ``(x + alpha) * beta'``: ``offset / scale * sigma - mean``, infinite or NaN
        where the scale is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.offset / self.scale * self.sigma - self.mean)


def norms(graph: Graph) -> list[Norm]:
    """The batch norms of an ONNX graph whose four operands are constants, in program order.

    One that computes its statistics from the batch, or keeps them for every pixel, is none.
    """
    return [found for op in graph.ops if (found := norm_of(graph, op)) is not None]


def norm_of(graph: Graph, op: Op) -> Norm | None:
    """The batch norm that an op is, if it is one with constant statistics."""
    if op.type != "BatchNormalization" or len(op.inputs) != 5 or len(op.outputs) != 1:
        return None
    old = graph.opset < INFERENCE and not op.attributes.get("is_test", 0)
    if old or op.attributes.get("training_mode", 0) or not op.attributes.get("spatial", 1):
        return None
    known = [graph.parameters.get(name) for name in op.inputs[1:]]
    held = [each for each in known if each is not None]
    if len(held) != 4 or len({each.shape for each in held}) != 1 or len(held[0].shape) != 1:
        return None
    scale, offset, mean, variance = (each.load().astype(np.float64) for each in held)
    epsilon = float(op.attributes.get("epsilon", EPSILON))
    return Norm(op, scale, offset, mean, variance, epsilon, rank_of(graph, op.inputs[0]))


def rank_of(graph: Graph, name: str) -> int | None:
    """The rank of a value: as the file or inference has it, or that of a convolution near it."""
    queue, seen = [name], {name}
    while queue and len(seen) <= NEAR:
        here = queue.pop(0)
        shape = graph.value(here).shape
        if shape is not None:
            return len(shape)
        maker = graph.producer.get(here)
        for op in (*([maker] if maker else ()), *graph.consumers.get(here, ())):
            weight = graph.parameters.get(op.inputs[1]) if op.type in CONVOLUTIONS else None
            if weight is not None:
                return len(weight.shape)
            if op.type in SAME_RANK:
                beside = [op.inputs[0], *op.outputs]
                queue += [each for each in beside if each not in seen]
                seen.update(beside)
    return None

"""What does an operator do to a number's digits? Compute, move, or say where: tables by op type."""

from __future__ import annotations

from collections.abc import Mapping

HEADS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""What devices fuse the bias, the residual sum and the activation behind into."""

ACTIVATIONS = frozenset(
    {
        "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu",
        "Gelu", "Softplus", "Softsign", "ThresholdedRelu", "Mish",
    }
)  # fmt: skip
"""Computed in float32 on the sum that a head has made, before it is stored."""

GATES = frozenset({"Sigmoid", "HardSigmoid"})
"""Times their own input they are an activation as well: Swish and HardSwish as they are exported."""

MOVES = frozenset(
    {
        "Abs", "CenterCropPad", "Compress", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten",
        "Gather", "GatherElements", "GatherND", "Identity", "MaxPool", "GlobalMaxPool", "MaxRoiPool",
        "Neg", "Pad", "ReduceMax", "ReduceMin", "Relu", "Reshape", "ReverseSequence", "Scatter",
        "ScatterElements", "ScatterND", "Sign", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
        "TopK", "Transpose", "Trilu", "Unsqueeze", "Ceil", "Floor", "Round", "Max", "Min", "Where",
        "Clip",
    }
)  # fmt: skip
"""They choose among numbers, move them or make whole ones: of rounded numbers nothing new is rounded."""

AS_THEY_ARE: Mapping[str, frozenset[int]] = {
    "Resize": frozenset({1, 2, 3}),
    "Upsample": frozenset({1}),
    "Dropout": frozenset({1, 2}),
    "QuantizeLinear": frozenset({1, 2}),
    "DequantizeLinear": frozenset({1, 2}),
    "NonMaxSuppression": frozenset({2, 3, 4}),
    "Range": frozenset({0, 1, 2}),
    "OneHot": frozenset({1}),
}
"""Float inputs that are settings and not numbers of the network: they stay in float32."""

SHAPES = frozenset({"Shape", "Size", "NonZero"})
"""What they give depends on sizes or places alone: what is computed of it is no activation."""

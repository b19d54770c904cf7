"""Which operators of the two frameworks are the same thing under different names?

A *kind* is a neutral word for what an operator does. Kinds are evidence for the matcher, never proof:
an operator that no table knows is its own kind, and is still matched by its place in the graph.
"""

from __future__ import annotations

from segdiff.core.graph import Graph, Op
from segdiff.core.precision import DEQUANTIZE

_SYNONYMS = {
    "conv": "conv2d depthwise_conv2d conv3d Conv com.microsoft.FusedConv conv2d_fusion fused_conv2d "
    "QLinearConv com.microsoft.QLinearConv ConvInteger",
    "conv_transpose": "conv2d_transpose depthwise_conv2d_transpose conv3d_transpose ConvTranspose",
    "deform_conv": "deformable_conv deformable_conv_v1 DeformConv",
    "matmul": "matmul matmul_v2 mul bmm mv addmm fc linear MatMul Gemm "
    "com.microsoft.FusedMatMul com.microsoft.FusedGemm com.microsoft.GemmFastGelu "
    "QLinearMatMul MatMulInteger com.microsoft.QGemm com.microsoft.MatMulIntegerToFloat "
    "com.microsoft.DynamicQuantizeMatMul com.microsoft.MatMulNBits",
    "batch_norm": "batch_norm sync_batch_norm BatchNormalization",
    "layer_norm": "layer_norm LayerNormalization com.microsoft.SkipLayerNormalization",
    "instance_norm": "instance_norm InstanceNormalization",
    "group_norm": "group_norm GroupNormalization com.microsoft.GroupNorm",
    "add": "elementwise_add add add_n Add Sum com.microsoft.QLinearAdd",
    "sub": "elementwise_sub subtract Sub minus",
    "mul": "elementwise_mul multiply Mul com.microsoft.QLinearMul",
    "div": "elementwise_div divide Div",
    "floor_div": "elementwise_floordiv floor_divide",
    "mod": "elementwise_mod remainder Mod",
    "pow": "elementwise_pow pow Pow",
    "max": "elementwise_max maximum Max",
    "min": "elementwise_min minimum Min",
    "relu": "relu Relu",
    "relu6": "relu6",
    "leaky_relu": "leaky_relu LeakyRelu com.microsoft.QLinearLeakyRelu",
    "prelu": "prelu PRelu",
    "elu": "elu Elu",
    "selu": "selu Selu",
    "celu": "celu Celu",
    "gelu": "gelu Gelu com.microsoft.Gelu com.microsoft.FastGelu com.microsoft.BiasGelu",
    "swish": "swish silu com.microsoft.QuickGelu",
    "mish": "mish Mish",
    "hard_swish": "hard_swish hardswish HardSwish",
    "hard_sigmoid": "hard_sigmoid hardsigmoid HardSigmoid",
    "sigmoid": "sigmoid Sigmoid com.microsoft.QLinearSigmoid",
    "log_sigmoid": "logsigmoid",
    "tanh": "tanh Tanh",
    "softplus": "softplus Softplus",
    "softsign": "softsign Softsign",
    "exp": "exp Exp",
    "log": "log Log",
    "sqrt": "sqrt Sqrt",
    "rsqrt": "rsqrt",
    "square": "square",
    "abs": "abs Abs",
    "erf": "erf Erf",
    "floor": "floor Floor",
    "ceil": "ceil Ceil",
    "round": "round Round",
    "sign": "sign Sign",
    "neg": "neg Neg",
    "sin": "sin Sin",
    "cos": "cos Cos",
    "tan": "tan Tan",
    "asin": "asin Asin",
    "acos": "acos Acos",
    "atan": "atan Atan",
    "sinh": "sinh Sinh",
    "cosh": "cosh Cosh",
    "asinh": "asinh Asinh",
    "acosh": "acosh Acosh",
    "atanh": "atanh Atanh",
    "reciprocal": "reciprocal Reciprocal",
    "clip": "clip Clip",
    "scale": "scale",
    "softmax": "softmax Softmax com.microsoft.QLinearSoftmax",
    "log_softmax": "log_softmax LogSoftmax",
    "resize": "bilinear_interp bilinear_interp_v2 nearest_interp nearest_interp_v2 bicubic_interp "
    "bicubic_interp_v2 linear_interp linear_interp_v2 trilinear_interp_v2 Resize Upsample",
    "max_pool": "max_pool2d_with_index max_pool3d_with_index max_pool2d_v2 MaxPool GlobalMaxPool",
    "avg_pool": "AveragePool GlobalAveragePool com.microsoft.QLinearAveragePool "
    "com.microsoft.QLinearGlobalAveragePool",
    "pool": "pool2d pool3d",
    "unpool": "unpool MaxUnpool",
    "pad": "pad pad2d pad3d Pad",
    "concat": "concat Concat com.microsoft.QLinearConcat",
    "split": "split split_with_num unbind unstack Split builtin.split",
    "stack": "stack",
    "slice": "slice strided_slice Slice",
    "gather": "gather index_select gather_nd Gather GatherND take_along_axis GatherElements "
    "com.microsoft.GatherBlockQuantized",
    "scatter": "scatter scatter_nd_add put_along_axis ScatterND ScatterElements",
    "transpose": "transpose transpose2 Transpose",
    "reshape": "reshape reshape2 flatten flatten2 flatten_contiguous_range squeeze squeeze2 "
    "unsqueeze unsqueeze2 Reshape Flatten Squeeze Unsqueeze",
    "expand": "expand expand_v2 expand_as expand_as_v2 tile Expand Tile broadcast_to",
    "reduce_mean": "reduce_mean mean ReduceMean com.microsoft.QLinearReduceMean",
    "reduce_sum": "reduce_sum sum ReduceSum",
    "reduce_max": "reduce_max max amax ReduceMax",
    "reduce_min": "reduce_min min amin ReduceMin",
    "reduce_prod": "reduce_prod prod ReduceProd",
    "logsumexp": "logsumexp ReduceLogSumExp",
    "norm": "p_norm norm frobenius_norm ReduceL2 ReduceL1 LpNormalization",
    "arg_max": "arg_max argmax ArgMax",
    "arg_min": "arg_min argmin ArgMin",
    "top_k": "top_k top_k_v2 topk TopK",
    "sort": "argsort",
    "one_hot": "one_hot one_hot_v2 OneHot",
    "cast": "cast Cast",
    "equal": "equal Equal",
    "not_equal": "not_equal",
    "greater": "greater_than Greater",
    "less": "less_than Less",
    "where": "where Where com.microsoft.QLinearWhere",
    "lstm": "LSTM com.microsoft.DynamicQuantizeLSTM",
    "attention": "com.microsoft.Attention com.microsoft.QAttention",
    "embed_layer_norm": "com.microsoft.EmbedLayerNormalization com.microsoft.QEmbedLayerNormalization",
    "branch": "If if select_input",
    "loop": "Loop while",
    "cumsum": "cumsum CumSum",
    "einsum": "einsum Einsum",
    "depth_to_space": "pixel_shuffle DepthToSpace",
    "space_to_depth": "space_to_depth pixel_unshuffle SpaceToDepth",
    "grid_sample": "grid_sampler grid_sample GridSample com.microsoft.GridSample",
    "roll": "roll",
    "shape": "shape shape64 Shape Size numel",
    "random": "uniform_random gaussian_random gaussian uniform randint bernoulli randperm "
    "truncated_gaussian_random multinomial "
    "RandomUniform RandomNormal RandomUniformLike RandomNormalLike Bernoulli Multinomial",
    "identity": "Identity assign share_data share_buffer memcpy memcpy_d2h memcpy_h2d Dropout",
    "dropout": "dropout",
    "fill_like": "fill_any_like full_like ones_like zeros_like fill_zeros_like fill_zeros_like2 "
    "full_batch_size_like fill_constant_batch_size_like",
}

QUANTIZE = frozenset({"QuantizeLinear", "com.microsoft.QuantizeLinear"})
"""Operators that store a value as integers: ONNX's and onnxruntime's own."""

QUANTISED_DATA = {
    **dict.fromkeys(QUANTIZE | DEQUANTIZE, ("0",)),
    "QLinearConv": ("0", "3", "8"),
    "QLinearMatMul": ("0", "3"),
    "ConvInteger": ("0", "1"),
    "MatMulInteger": ("0", "1"),
    "com.microsoft.QLinearConv": ("0", "3", "8"),
    "com.microsoft.QGemm": ("0", "3", "6"),
    "com.microsoft.MatMulIntegerToFloat": ("0", "1", "6"),
    "com.microsoft.DynamicQuantizeMatMul": ("0", "1", "4"),
    "com.microsoft.DynamicQuantizeLSTM": ("0", "1", "2", "3", "4", "5", "6", "7"),
    "com.microsoft.MatMulNBits": ("0", "1", "5"),
    "com.microsoft.GatherBlockQuantized": ("0", "1"),
    "com.microsoft.QAttention": ("0", "1", "2", "5", "8"),
    "com.microsoft.QEmbedLayerNormalization": ("0", "1", "2", "3", "4", "5", "6", "7"),
    "com.microsoft.QLinearWhere": ("0", "1", "4"),
    "com.microsoft.QLinearAdd": ("0", "3"),
    "com.microsoft.QLinearMul": ("0", "3"),
    "com.microsoft.QLinearSigmoid": ("0",),
    "com.microsoft.QLinearSoftmax": ("0",),
    "com.microsoft.QLinearLeakyRelu": ("0",),
    "com.microsoft.QLinearAveragePool": ("0",),
    "com.microsoft.QLinearGlobalAveragePool": ("0",),
}
"""Operators on quantised tensors -> the input positions of what they compute on; the rest is scales and zero
points."""

_KINDS = {word: kind for kind, words in _SYNONYMS.items() for word in words.split()}

COMMUTATIVE = frozenset({"add", "mul", "max", "min", "equal", "not_equal", "branch", "loop"})
"""Kinds whose inputs may be written in any order: a branch reads what its blocks capture, as they come."""

BOUNDED = frozenset({"sigmoid", "softmax", "log_softmax", "tanh", "erf", "hard_sigmoid", "gelu", "swish"})
"""Kinds computed through a function bounded by one: implementations agree to some ulp of *one*, also where
the result itself is tiny (measured: sigmoids near 1e-7 differ by 5e-8)."""

_EXACT = (
    "cast equal not_equal greater greater_equal GreaterOrEqual less less_equal LessOrEqual logical_and And "
    "logical_or Or logical_xor Xor logical_not Not where floor ceil round sign neg abs relu min max identity "
    "isnan isnan_v2 isinf isinf_v2 isfinite isfinite_v2 IsNaN IsInf reduce_max reduce_min one_hot reshape "
    "transpose concat split stack slice gather expand shape fill_like pad roll depth_to_space space_to_depth"
)

EXACT = frozenset(_EXACT.split())
"""Kinds that round nothing (but to whole numbers) and choose nothing among equals: on equal inputs any two
right implementations give the same numbers, to the last bit."""


def kind_of(op: Op) -> str:
    """The neutral kind of an operator; one that no table knows keeps its own type.

    >>> kind_of(Op(0, "elementwise_add", "", ("x", "y"), ("X", "Y"), ("z",), {}))
    'add'
    >>> kind_of(Op(0, "pool2d", "", ("x",), ("X",), ("z",), {"pooling_type": "max"}))
    'max_pool'
    """
    if op.type in ("pool2d", "pool3d"):
        return "max_pool" if str(op.attributes.get("pooling_type", "")) == "max" else "avg_pool"
    if op.type == "Sum":
        return "add"
    return _KINDS.get(op.type, op.type)


def is_exact(op: Op) -> bool:
    """Whether the op rounds nothing, so that no last bit of its inputs excuses a difference.

    >>> round_to_tenths = Op(0, "round", "", ("x",), ("X",), ("z",), {"decimals": 1})
    >>> is_exact(round_to_tenths), is_exact(Op(0, "Round", "", ("x",), ("0",), ("z",), {}))
    (False, True)
    """
    return kind_of(op) in EXACT and not op.attributes.get("decimals")


def drops(graph: Graph, op: Op) -> bool:
    """Whether a Dropout is left in training, or may be: it throws other elements away on every run.

    From opset 12 on its third input says so.

    >>> from pathlib import Path
    >>> op = Op(0, "Dropout", "", ("x", "r", "t"), ("0", "1", "2"), ("y",), {})
    >>> drops(Graph("onnx", Path("m"), (op,), {}, {}, ("x", "t"), ("y",), opset=17), op)
    True
    >>> op = Op(0, "Dropout", "", ("x",), ("0",), ("y",), {})
    >>> drops(Graph("onnx", Path("m"), (op,), {}, {}, ("x",), ("y",), opset=17), op)
    False
    """
    if op.type != "Dropout" or "2" not in op.slots:
        return False
    flag = graph.parameters.get(op.inputs[op.slots.index("2")])
    return flag is None or bool(flag.load().any())


def is_identity(op: Op) -> bool:
    """Whether the op hands its first input on unchanged (at inference, and where the attributes say so).

    >>> scale = Op(0, "scale", "", ("x",), ("X",), ("z",), {"scale": 1.0, "bias": 0.0})
    >>> is_identity(scale), is_identity(Op(0, "relu", "", ("x",), ("X",), ("z",), {}))
    (True, False)
    """
    kind = kind_of(op)
    if kind == "identity":
        return True
    if kind == "dropout":
        return bool(
            op.attributes.get("dropout_implementation", op.attributes.get("mode")) == "upscale_in_train"
        )
    if kind == "scale" and "ScaleTensor" not in op.slots and len(op.inputs) == 1:
        return bool(op.attributes.get("scale", 1.0) == 1.0 and op.attributes.get("bias", 0.0) == 0.0)
    return False

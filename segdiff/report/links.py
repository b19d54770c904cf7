"""Where do the docs speak of a kind of cause?

Every kind has a heading of its own in ``docs/causes/``: its text is the kind as a report has it; its anchor
is the kind without the dot, on the site as on a code forge. A new kind is a word in ``PAGES`` and a heading.
"""

from __future__ import annotations

from collections.abc import Mapping

PAGES: Mapping[str, tuple[str, ...]] = {
    "resize": (
        *("resize.coordinate_mode", "resize.nearest_rounding", "resize.mode", "resize.scale"),
        *("resize.cubic_coefficient", "resize.exclude_outside", "resize.antialias"),
        *("grid_sample.align_corners", "grid_sample.padding_mode", "grid_sample.mode"),
    ),
    "activation": (
        *("softmax.axis", "softmax.operator", "hard_sigmoid.slope", "hard_sigmoid.offset"),
        *("leaky_relu.slope", "elu.alpha", "selu.gamma", "shrink.threshold", "softplus.beta"),
        *("softplus.threshold", "gelu.approximate", "clip.bounds", "activation.kind"),
        *("activation.missing", "activation.surplus"),
    ),
    "norm": (
        *("batch_norm.epsilon", "instance_norm.epsilon", "group_norm.epsilon", "layer_norm.epsilon"),
        *("batch_norm.order", "layer_norm.order", "batch_norm.training_mode", "batch_norm.lost"),
        *("group_norm.groups", "layer_norm.axis", "lrn.size", "lrn.alpha", "lrn.beta", "lrn.bias"),
        "norm.order",
    ),
    "pool": (
        *("pool.kernel", "pool.strides", "pool.dilations", "pool.pads", "pool.ceil_mode"),
        *("pool.count_include_pad", "pool.operator", "pool.global", "pool.adaptive"),
    ),
    "conv": (
        *("conv.pads", "conv.strides", "conv.dilations", "conv.group", "conv.output_padding", "conv.bias"),
        *("conv.kernel_flip", "conv.kernel_transpose", "conv.weight_layout", "conv.offset_group"),
        *("matmul.order", "matmul.transpose", "gemm.factor"),
    ),
    "parameter": (
        *("parameter.checkpoint", "parameter.channels", "parameter.channel_zeroed", "parameter.fp16"),
        *("parameter.bf16", "parameter.int8", "parameter.element", "parameter.scale", "parameter.sign"),
        *("parameter.folded", "parameter.value", "add.lost", "mul.lost"),
    ),
    "precision": (
        *("precision.overflow", "precision.underflow", "precision.clipped", "quantization.zero_point"),
        *("quantization.scale", "quantization.activation_range", "quantization.weight_scale"),
        "quantization.bias_overflow",
    ),
    "layout": (
        *("transpose.perm", "reshape.shape", "flatten.axis", "squeeze.axes", "unsqueeze.axes"),
        *("depth_to_space.mode", "depth_to_space.blocksize", "space_to_depth.mode", "einsum.order"),
        *("einsum.equation", "tile.repeats", "expand.shape"),
    ),
    "indexing": (
        *("concat.order", "concat.axis", "split.order", "split.sizes", "split.axis", "gather.index"),
        *("gather.axis", "where.order", "slice.start", "slice.end", "slice.axes", "slice.step"),
        *("pad.mode", "pad.value", "pad.amount"),
    ),
    "reduce": (
        *("argmax.axis", "argmax.operator", "argmax.select", "argmax.keepdims", "topk.largest"),
        *("topk.axis", "topk.k", "topk.sorted", "topk.ties", "cumsum.reverse", "cumsum.exclusive"),
        *("cumsum.axis", "reduce.axes", "reduce.keepdims", "reduce.operator"),
    ),
    "arithmetic": (
        *("elementwise.operator", "elementwise.function", "elementwise.order", "elementwise.broadcast"),
        *("pow.exponent", "scale.order", "scale.integer", "floor_divide.rounding", "mod.fmod"),
        *("comparison.operator", "comparison.truncated", "logical.operator", "round.operator"),
        *("round.halves", "round.decimals", "cast.type", "cast.rounding", "nan.kept", "nan.lost"),
        *("dropout.scale", "dropout.training_mode"),
    ),
    "recurrent": (
        *("recurrent.gates", "recurrent.direction", "recurrent.linear_before_reset"),
        *("recurrent.activations", "recurrent.weights", "recurrent.bias", "recurrent.initial_state"),
        *("recurrent.sequence_lens", "recurrent.clip", "recurrent.input_forget"),
    ),
    "control_flow": ("loop.trip_count", "loop.condition", "if.branches"),
    "detection": (
        *("non_max_suppression.iou_threshold", "non_max_suppression.score_threshold"),
        *("non_max_suppression.max_output_boxes_per_class", "non_max_suppression.keep_top_k"),
        "rows.order",
    ),
    "output": (
        *("output.order", "output.missing", "output.extra", "output.op", "output.layout"),
        *("output.shape", "output.dtype", "output.value"),
    ),
    "device": (
        *("device.saturated", "device.overflow", "device.layout", "device.weights", "device.operator"),
        *("device.handover", "device.unknown"),
    ),
    "runtime": ("runtime.refused", "runtime.optimisation", "runtime.paddle_ir"),
    "input": (
        *("input.channel_order", "input.normalize_order", "input.scale", "input.mean_std"),
        *("input.interpolation", "input.resize_dtype", "input.size", "input.size_swapped"),
        *("input.keep_ratio", "input.crop", "input.padding", "input.orientation", "input.grey"),
        *("input.layout", "input.batch_axis", "input.dtype", "input.unexplained"),
    ),
    "operator": ("operator.lost", "operator.surplus", "operator.replaced", "unknown"),
}
"""The kinds that have a heading of their own, by the page of ``docs/causes/`` where it stands."""

ANY = ("lost", "surplus", "merged", "operands", "order", "replaced", "layout")
"""What can befall any operator, by the last word of the kind: ``transpose.lost``. Others are settings."""

OPERATOR = "operator"
"""The page of what can befall any operator; its headings are ``Any operator: lost`` and so on."""

_PAGES = {kind: page for page, kinds in PAGES.items() for kind in kinds}


def docs_of(kind: str) -> str:
    """The page that explains a kind of cause, as a path from the root of the repository, with the anchor.

    On the site the page is ``causes/resize.html`` where it is ``docs/causes/resize.md`` here.

    >>> docs_of("resize.coordinate_mode")
    'docs/causes/resize.md#resizecoordinate_mode'
    >>> docs_of("transpose.lost")
    'docs/causes/operator.md#any-operator-lost'
    >>> docs_of("trilu.upper")
    'docs/causes/operator.md#any-operator-setting'
    """
    if kind.startswith("score."):
        return "docs/score.md#the-table"
    page = _PAGES.get(kind)
    if page:
        return f"docs/causes/{page}.md#{kind.replace('.', '')}"
    word = kind.rpartition(".")[2]
    return f"docs/causes/{OPERATOR}.md#any-operator-{word if word in ANY else 'setting'}"

"""Which attributes does a cause speak of? Their rows are marked on both sides, whatever each calls them.

Of the candidate they are those that the proven change sets, and those of this table; of a Paddle operator the
table alone knows. A kind that is missing here marks nothing on that side.
"""

from __future__ import annotations

from collections.abc import Mapping

from segdiff.core.answer import Cause, OpInfo

_EPSILON = ("epsilon",)
_AXIS = ("axis", "axes", "dim")

_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "resize.coordinate_mode": ("align_corners", "align_mode", "coordinate_transformation_mode"),
    "resize.nearest_rounding": ("align_corners", "align_mode", "nearest_mode"),
    "resize.mode": ("interp_method", "mode"),
    "resize.scale": ("scale", "out_h", "out_w", "out_d"),
    "resize.cubic_coefficient": ("cubic_coeff_a",),
    "grid_sample.align_corners": ("align_corners",),
    "grid_sample.padding_mode": ("padding_mode",),
    "grid_sample.mode": ("mode",),
    "softmax.axis": _AXIS,
    "argmax.axis": _AXIS,
    "argmax.keepdims": ("keepdims",),
    "topk.axis": _AXIS,
    "topk.largest": ("largest",),
    "topk.sorted": ("sorted",),
    "reduce.axes": (*_AXIS, "reduce_all"),
    "reduce.keepdims": ("keep_dim", "keepdim", "keepdims"),
    "concat.axis": _AXIS,
    "split.axis": _AXIS,
    "split.sizes": ("sections", "num", "split"),
    "gather.axis": _AXIS,
    "cumsum.axis": _AXIS,
    "cumsum.exclusive": ("exclusive",),
    "cumsum.reverse": ("reverse",),
    "flatten.axis": ("start_axis", "stop_axis", "axis"),
    "squeeze.axes": _AXIS,
    "unsqueeze.axes": _AXIS,
    "transpose.perm": ("perm",),
    "depth_to_space.blocksize": ("upscale_factor", "blocksize"),
    "slice.start": ("starts",),
    "slice.end": ("ends",),
    "slice.axes": ("axes",),
    "slice.step": ("strides", "steps"),
    "pad.mode": ("mode",),
    "pad.value": ("value", "pad_value", "constant_value"),
    "pad.amount": ("paddings", "pads"),
    "hard_sigmoid.slope": ("slope", "alpha"),
    "hard_sigmoid.offset": ("offset", "beta"),
    "leaky_relu.slope": ("alpha", "negative_slope"),
    "elu.alpha": ("alpha",),
    "gelu.approximate": ("approximate",),
    "softplus.beta": ("beta",),
    "softplus.threshold": ("threshold",),
    "batch_norm.epsilon": _EPSILON,
    "instance_norm.epsilon": _EPSILON,
    "group_norm.epsilon": _EPSILON,
    "layer_norm.epsilon": _EPSILON,
    "group_norm.groups": ("groups", "num_groups"),
    "layer_norm.axis": ("begin_norm_axis", "axis"),
    "pool.kernel": ("ksize", "kernel_size", "kernel_shape"),
    "pool.ceil_mode": ("ceil_mode",),
    "pool.count_include_pad": ("exclusive", "count_include_pad"),
    "pool.operator": ("pooling_type",),
    "pool.global": ("global_pooling",),
    "pool.adaptive": ("adaptive", "ksize", "kernel_size", "kernel_shape"),
    "conv.pads": ("paddings", "padding_algorithm", "pads", "auto_pad"),
    "conv.strides": ("strides",),
    "conv.dilations": ("dilations",),
    "conv.group": ("groups", "group"),
    "conv.output_padding": ("output_padding", "output_size"),
    "pow.exponent": ("factor", "y"),
    "scale.order": ("bias_after_scale", "scale", "bias"),
    "matmul.transpose": ("trans_x", "trans_y", "transpose_X", "transpose_Y", "transA", "transB"),
    "gemm.factor": ("alpha", "beta"),
    "cast.type": ("out_dtype", "dtype", "to"),
    "recurrent.direction": ("is_bidirec", "direction"),
    "recurrent.activations": ("activations", "mode"),
}


def named_settings(cause: Cause | None, op: OpInfo) -> frozenset[str]:
    """The attributes of an operator that the proven cause speaks of; none of one that is a guess."""
    if cause is None or not cause.proven:
        return frozenset()
    changed = {name for edit in cause.edits if edit.output in op.outputs for name in edit.attributes}
    known = {name for name in _SETTINGS.get(cause.kind, ()) if name in op.attributes}
    return frozenset(changed | known)

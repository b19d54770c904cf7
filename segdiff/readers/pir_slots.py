"""What is the role of every input of a PIR op?

A PIR file numbers operands; paddle's op definitions name them. Only the ops of which segmentation models are
made stand here (taken from paddle 3.3's generated op classes); an op that is missing, and an operand beyond
the list, goes by its position.
"""

from __future__ import annotations

_ROLES = {
    "x y": "add subtract multiply divide elementwise_pow maximum minimum matmul bmm expand_as",
    "input x y": "addmm",
    "input filter": "conv2d conv3d depthwise_conv2d",
    "x filter output_size": "conv2d_transpose depthwise_conv2d_transpose",
    "x filter bias output_size": "conv2d_transpose_bias",
    "x offset filter mask": "deformable_conv",
    "x mean variance scale bias": "batch_norm sync_batch_norm",
    "x scale bias": "layer_norm group_norm instance_norm",
    "x scale": "scale rms_norm",
    "x out_size size_tensor scale_tensor": (
        "bilinear_interp nearest_interp bicubic_interp linear_interp trilinear_interp"
    ),
    "x kernel_size": "pool2d",
    "x pad_value": "pad",
    "x paddings": "pad3d",
    "x alpha": "prelu",
    "x shape": "reshape expand",
    "x axis": "argmax argmin concat cumsum max mean min prod split_with_num squeeze sum unsqueeze",
    "x sections axis": "split",
    "input starts ends": "slice",
    "x starts ends strides": "strided_slice",
    "x index axis": "gather",
    "x index": "gather_nd index_sample index_select",
    "x index updates": "scatter",
    "x repeat_times": "tile",
    "x shifts": "roll",
    "x values starts ends steps": "set_value_with_tensor",
    "x starts ends steps": "set_value",
    "x k": "topk",
    "condition x y": "where",
    "x min max": "clip",
    "x weight": "embedding",
    "x seed_tensor p": "dropout",
    "x num_classes": "one_hot",
    "x grid": "grid_sample",
    "input output_shape": "affine_grid",
    "value shape": "full_with_tensor",
    "x value": "full_like",
    "start end step": "arange",
    "start stop number": "linspace",
    "shape min max": "uniform",
    "x pre_state weight_list sequence_length dropout_state": "rnn",
    "inputs": "add_n meshgrid",
    "output": "assign_value",
    "input": "shape shape64 unbind",
    "x mask": "masked_select",
    "condition": "nonzero",
    "arr indices": "take_along_axis",
    "arr indices values": "put_along_axis",
    "x": (
        "assign cast elu exp flatten flip gelu hardsigmoid hardswish leaky_relu log_softmax mish p_norm "
        "pixel_shuffle relu relu6 rsqrt sigmoid silu softmax sqrt stack swish tanh transpose unfold unstack"
    ),
}

_SLOTS = {op: tuple(roles.split()) for roles, ops in _ROLES.items() for op in ops.split()}


def slot(op_type: str, position: int) -> str:
    """Name of the operand at ``position`` of that op, its position in digits where the name is unknown."""
    names = _SLOTS.get(op_type, ())
    return names[position] if position < len(names) else str(position)

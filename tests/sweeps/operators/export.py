"""How does a program become a Paddle model on disk? Run inside a Paddle environment, with jobs on stdin.

A job is a line ``name<TAB>folder``. The
format of the model follows from the Paddle that runs: 2.6.2 writes ``model.pdmodel``, 3.x ``model.json``.
"""

from __future__ import annotations

import zlib  # noqa: F401  (before paddle: libpaddle 2.6 brings a zlib of its own that crashes later imports)
from functools import reduce
from typing import Any

import paddle

from . import net_pieces
from .jobs import serve
from .programs import Program, programs


def assigned(x: paddle.Tensor) -> paddle.Tensor:
    """Written to in place."""
    y = x + 0.0
    y[:, 1] = 2.0
    return y


def named(name: str) -> Any:
    """A function of Paddle by its dotted name."""
    return reduce(getattr, name.split("."), paddle)


def guarded_norm(x: paddle.Tensor, axis: int, guard: float) -> paddle.Tensor:
    """A vector over its length and a tiny number."""
    return x / (paddle.norm(x, axis=axis, keepdim=True) + guard)


def written_layer_norm(x: paddle.Tensor, guard: float) -> paddle.Tensor:
    """A layer norm over the channels, written out."""
    centred = x - x.mean(axis=1, keepdim=True)
    return centred / paddle.sqrt((centred * centred).mean(axis=1, keepdim=True) + guard)


def joined_three(x: paddle.Tensor, axis: int, order: list[int]) -> paddle.Tensor:
    """Three parts, the last two joined first."""
    parts = [x, paddle.tanh(x), x * 2.0]
    first, second, third = (parts[place] for place in order)
    return paddle.concat([first, paddle.concat([second, third], axis=axis)], axis=axis)


def sliced_twice(x: paddle.Tensor, first: list[int], second: list[int], axis: int) -> paddle.Tensor:
    """A window of a window."""
    inner = paddle.slice(x, [axis], [first[0]], [first[1]])
    return paddle.slice(inner, [axis], [second[0]], [second[1]])


def roi_align(x: paddle.Tensor, **arguments: Any) -> paddle.Tensor:
    """Two regions that lie between pixels."""
    boxes = paddle.to_tensor([[0.6, 1.2, 9.3, 10.7], [2.5, 0.4, 15.1, 8.8]])
    return paddle.vision.ops.roi_align(x, boxes, paddle.to_tensor([2], dtype="int32"), **arguments)


OWN: dict[str, Any] = {
    **net_pieces.OWN,
    "guarded_norm": guarded_norm,
    "written_layer_norm": written_layer_norm,
    "joined_three": joined_three,
    "sliced_twice": sliced_twice,
    "roi_align": roi_align,
    "log_of_softmax": lambda x, axis: paddle.log(paddle.nn.functional.softmax(x, axis=axis)),
    "int_sum": lambda x, factor: paddle.sum(x * factor, axis=1),
    "sorted_ends": lambda x, **arguments: [
        paddle.sort(x, **arguments),
        paddle.argsort(x, **arguments).astype("float32"),
    ],
    "topk_ends": lambda x, **arguments: list(paddle.topk(x, **arguments)),
    "transposed_twice": lambda x, first, second: paddle.transpose(paddle.transpose(x, first), second),
    "concat_twice": lambda x, axis: paddle.concat([x, x * 2.0], axis=axis),
    "stack_twice": lambda x, axis: paddle.stack([x, x * 2.0], axis=axis),
    "of_log": lambda x, *more, name, **arguments: named(name)(paddle.log(x), *more, **arguments),
    "einsum_of": lambda x, y, equation: paddle.einsum(equation, x, y),
    "batch_norm": lambda x, running_mean, running_var, weight, bias, epsilon: paddle.nn.functional.batch_norm(
        x, running_mean, running_var, weight, bias, training=False, epsilon=epsilon
    ),
    "deform_conv2d_masked": lambda x, offset, mask, weight, padding: paddle.vision.ops.deform_conv2d(
        x, offset, weight, padding=padding, mask=mask
    ),
    "index_reversed": lambda x: x[:, :, ::-1],
    "index_stepped": lambda x: x[:, 1:4:2, -1:0:-2],
    "index_ellipsis": lambda x: x[..., 1:3],
    "index_integer": lambda x: x[:, -1, :, 2],
    "index_newaxis": lambda x: x[:, None, 1],
    "index_listed": lambda x: x[:, [2, 0, 3]],
    "index_masked": lambda x: paddle.where(x > 0.5, x, paddle.zeros_like(x)),
    "index_assigned": assigned,
    "put_along_axis": lambda x, index, values, axis, reduce="assign": paddle.put_along_axis(
        x, index, paddle.full_like(index, values, dtype="float32"), axis, reduce=reduce
    ),
    "meshgrid_sum": lambda x, y: reduce(lambda a, b: a - 2.0 * b, paddle.meshgrid(x, y)),
    "as_complex_abs": lambda x: paddle.abs(paddle.as_complex(x)),
    "multiplex_two": lambda a, b, index: paddle.multiplex([a, b], index),
    "floor_divide": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
    "remainder": lambda x, y: x % y,
    "floor_mod": lambda x, y: x % y,
    "divide": lambda x, y: x / y,
    "increment": lambda x, value: paddle.increment(x * 1.0, value),
    "multiply": lambda x, y: x * y,
    "add": lambda x, y: x + y,
}
"""What no single function of Paddle does, and operators written as in a model's code."""


BUILT: dict[str, Any] = {
    "group_norm": lambda channels, num_groups, epsilon=1e-5: paddle.nn.GroupNorm(
        num_groups, channels, epsilon
    )
}
"""Layers of Paddle that have no function in 2.6."""


class Called(paddle.nn.Layer):
    """A program as a layer; its weights are parameters."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        if program.call in BUILT:
            self.built = BUILT[program.call](program.inputs[0].shape[1], **program.arguments)
            self.built.set_state_dict(program.parameters())
            return
        self.function = OWN.get(program.call) or named(program.call)
        for name, value in program.parameters().items():
            parameter = self.create_parameter(list(value.shape), dtype="float32")
            parameter.set_value(paddle.to_tensor(value))
            self.add_parameter(name, parameter)

    def called(self, *inputs: paddle.Tensor) -> Any:
        """Call the function."""
        if self.program.call in BUILT:
            return self.built(*inputs)
        weights = {name: getattr(self, name) for name in self.program.weights}  # not kept: tracing swaps them
        return self.function(*inputs, **weights, **self.program.arguments)


class One(Called):
    """A program of one input: the tracer counts the parameters of ``forward``."""

    def forward(self, x0: paddle.Tensor) -> Any:
        """Call the function."""
        return self.called(x0)


class Two(Called):
    """A program of two inputs."""

    def forward(self, x0: paddle.Tensor, x1: paddle.Tensor) -> Any:
        """Call the function."""
        return self.called(x0, x1)


class Three(Called):
    """A program of three inputs."""

    def forward(self, x0: paddle.Tensor, x1: paddle.Tensor, x2: paddle.Tensor) -> Any:
        """Call the function."""
        return self.called(x0, x1, x2)


def export(program: Program, folder: str) -> None:
    """Write ``model.*`` into the folder."""
    layer = (One, Two, Three)[len(program.inputs) - 1](program)
    layer.eval()
    specs = [
        paddle.static.InputSpec(shape=list(value.shape), dtype=str(value.dtype), name=name)
        for name, value in program.tensors().items()
    ]
    paddle.jit.save(paddle.jit.to_static(layer, input_spec=specs), f"{folder}/model")


if __name__ == "__main__":
    every = programs()
    serve(lambda name, folder: export(every[name], folder))

"""Which small networks branch and loop? Paddle layers with an if or a while, each in a model of its own.

Run as a program it needs Paddle, and FLAGS_enable_pir_api=0 in the environment for the .pdmodel format:

    python -m tests.sweeps.control_flow_nets FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.nn import Conv2D
from paddle.nn.functional import avg_pool2d, relu, sigmoid
from paddle.static.nn import cond, while_loop

SHAPE = (1, 3, 24, 32)
Tensor = Any
Layers = dict[str, Conv2D]


def at_least(x: Tensor, bound: float) -> Tensor:
    """Whether the largest element is: the condition of a branch, told by the picture."""
    return paddle.max(x) > bound


def counted(times: int, body: Callable[..., list[Tensor]], *start: Tensor) -> list[Tensor]:
    """A loop of so many iterations over what it carries; the counter comes first."""
    first = paddle.zeros([1], "int64")
    made = while_loop(lambda i, *_: i < times, lambda i, *v: [i + 1, *body(i, *v)], [first, *start])
    return list(made)


def if_scale(net: Layers, x: Tensor) -> Tensor:
    """A branch that doubles, between two convolutions."""
    y = relu(net["a"](x))
    return net["head"](cond(at_least(y, 0.1), lambda: y * 2.0 + 0.5, lambda: y - 1.0))


def if_conv(net: Layers, x: Tensor) -> Tensor:
    """A branch that begins with a convolution of the shape of the one before it."""
    y = net["a"](x)
    return net["head"](cond(at_least(x, 0.1), lambda: relu(net["b"](y)), lambda: y - 1.0))


def if_side(net: Layers, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the branch reads is read again after it."""
    y = net["a"](x)
    z = cond(at_least(x, 0.1), lambda: net["b"](y), lambda: y - 1.0)
    return net["head"](z), sigmoid(y)


def if_else(net: Layers, x: Tensor) -> Tensor:
    """The other branch is taken, and has more operators."""
    y = net["a"](x)
    return net["head"](cond(at_least(x, 1e6), lambda: net["b"](y), lambda: sigmoid(net["c"](relu(y)))))


def if_two(net: Layers, x: Tensor) -> Tensor:
    """A branch with two results."""
    y = net["a"](x)
    left, right = cond(at_least(x, 0.1), lambda: (net["b"](y), sigmoid(y)), lambda: (y * 1.0, y - 2.0))
    return net["head"](relu(left) * right)


def if_twice(net: Layers, x: Tensor) -> Tensor:
    """Two branches, one after the other."""
    y = net["a"](x)
    y = cond(at_least(x, 0.1), lambda: sigmoid(net["b"](y)), lambda: y - 1.0)
    y = relu(y)
    y = cond(at_least(x, 1e6), lambda: y * 3.0, lambda: net["c"](y) * 0.5)
    return net["head"](y)


def if_in_if(net: Layers, x: Tensor) -> Tensor:
    """A branch inside a branch."""
    y = net["a"](x)

    def outer() -> Tensor:
        z = net["b"](y)
        return cond(at_least(x, 0.2), lambda: sigmoid(net["c"](z)), lambda: z * 2.0) + 0.25

    return net["head"](cond(at_least(x, 0.1), outer, lambda: y - 1.0))


def while_pool(net: Layers, x: Tensor) -> Tensor:
    """Three poolings in a loop."""
    return net["head"](counted(3, lambda i, v: [avg_pool2d(v, 3, 1, 1)], relu(net["a"](x)))[1])


def while_conv(net: Layers, x: Tensor) -> Tensor:
    """A loop around a convolution of the shape of the one before it."""
    return net["head"](counted(3, lambda i, v: [relu(net["b"](v))], net["a"](x))[1])


def while_never(net: Layers, x: Tensor) -> Tensor:
    """A loop that does not turn once."""
    return net["head"](counted(0, lambda i, v: [net["b"](v)], net["a"](x))[1])


def while_captures(net: Layers, x: Tensor) -> tuple[Tensor, Tensor]:
    """A loop that adds what lies outside of it; the counter is used behind it."""
    y = net["a"](x)
    side = sigmoid(net["c"](y))
    i, v = counted(2, lambda i, v: [net["b"](v) + side], y)
    return net["head"](v) + i.astype("float32"), side


def while_two(net: Layers, x: Tensor) -> Tensor:
    """A loop that carries two values, one fed by the other."""
    y = net["a"](x)
    _, left, right = counted(3, lambda i, v, w: [relu(net["b"](w)), v * 0.5 + w], y, sigmoid(y))
    return net["head"](left + right)


def while_in_if(net: Layers, x: Tensor) -> Tensor:
    """A loop inside a branch."""
    y = net["a"](x)
    turn = lambda: counted(2, lambda i, v: [sigmoid(net["b"](v))], y)[1]  # noqa: E731
    return net["head"](cond(at_least(x, 0.1), turn, lambda: y - 1.0))


def if_in_while(net: Layers, x: Tensor) -> Tensor:
    """A branch inside a loop: taken in the first two iterations only."""

    def body(i: Tensor, v: Tensor) -> list[Tensor]:
        return [cond((i < 2).all(), lambda: relu(net["b"](v)), lambda: sigmoid(net["c"](v)))]

    return net["head"](counted(3, body, net["a"](x))[1])


def if_first(net: Layers, x: Tensor) -> Tensor:
    """A branch in the very first operators."""
    return net["head"](net["b"](cond(at_least(x, 0.1), lambda: net["a"](x), lambda: net["a"](x) - 1.0)))


NETS: dict[str, Callable[..., Any]] = {
    made.__name__: made
    for made in (
        if_scale, if_conv, if_side, if_else, if_two, if_twice, if_in_if, if_first,
        while_pool, while_conv, while_never, while_captures, while_two, while_in_if, if_in_while,
    )
}  # fmt: skip


class Net(paddle.nn.Layer):
    """One of them, with its convolutions."""

    def __init__(self, build: Callable[..., Any]) -> None:
        super().__init__()
        self.build = build
        self.layers = paddle.nn.LayerDict(
            {"a": Conv2D(3, 8, 3, padding=1)}
            | {name: Conv2D(8, 8, 3, padding=1) for name in "bc"}
            | {"head": Conv2D(8, 4, 1)}
        )

    def forward(self, x: Tensor) -> Any:
        """The network."""
        return self.build(self.layers, x)


def export(name: str, folder: Path) -> None:
    """Write one of them into a folder, with an input that it can be run on."""
    paddle.seed(7)
    net = Net(NETS[name])
    net.eval()
    spec = [paddle.static.InputSpec(list(SHAPE), "float32", "x")]
    paddle.jit.save(paddle.jit.to_static(net, input_spec=spec, full_graph=True), str(folder / "model"))
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32))


def main() -> None:
    """Write all of them."""
    root = Path(sys.argv[1])
    for name in NETS:
        (root / name).mkdir(parents=True, exist_ok=True)
        export(name, root / name)


if __name__ == "__main__":
    main()

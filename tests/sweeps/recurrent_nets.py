"""Which small networks hold an LSTM, a GRU or a simple RNN? Paddle layers, each in a model of its own.

Run as a program it needs Paddle, and FLAGS_enable_pir_api=0 in the environment for the .pdmodel format:

    python -m tests.sweeps.recurrent_nets FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from tests.sweeps.recurrent_specs import BATCH, LAYERS, LENGTHS, SHAPE, SIZE, Layer


def network(layer: Layer) -> Any:
    """A convolution, the recurrent layer over its columns, a matrix product; Paddle's layer."""

    class Network(paddle.nn.Layer):  # type: ignore[misc, name-defined]
        """Image to a line of numbers, as a text recogniser does it."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer  # Paddle rewrites forward, and loses what it closes over
            self.lengths = list(LENGTHS) if layer.lengths else None
            self.conv = paddle.nn.Conv2D(3, SIZE, 3, stride=2, padding=1)
            more: dict[str, Any] = {"activation": layer.activation} if layer.kind == "SimpleRNN" else {}
            more |= {"proj_size": layer.proj} if layer.proj else {}
            self.recurrent = getattr(paddle.nn, layer.kind)(
                SIZE,
                layer.hidden,
                num_layers=layer.layers,
                direction="bidirect" if layer.sides == 2 else "forward",
                time_major=layer.time_major,
                **more,
            )
            width = layer.proj or layer.hidden
            self.head = paddle.nn.Linear(width * layer.sides, 4)
            count = layer.layers * layer.sides
            normal = paddle.nn.initializer.Normal()
            names = ("h", "c") if layer.kind == "LSTM" else ("h",)
            if layer.states == "constant":
                for name in names:
                    shape = [count, BATCH, layer.hidden]
                    setattr(self, name, self.create_parameter(shape, default_initializer=normal))
            if layer.states == "computed":
                for name in names:
                    setattr(self, f"make_{name}", paddle.nn.Linear(SIZE, layer.hidden))

        def start(self, y: Any) -> Any:
            """The initial states, None for zeros."""
            names = ("h", "c") if self.layer.kind == "LSTM" else ("h",)
            if self.layer.states is None:
                return None
            if self.layer.states == "constant":
                made = [getattr(self, name) for name in names]
            else:
                mean = y.mean(axis=2)
                made = [getattr(self, f"make_{name}")(mean).unsqueeze(0) for name in names]
            return tuple(made) if len(made) == 2 else made[0]

        def forward(self, x: Any) -> Any:
            """The network: what each step makes, and the last state of the last self.layer."""
            y = paddle.nn.functional.relu(self.conv(x)).mean(axis=2)
            rows = y.transpose([2, 0, 1] if self.layer.time_major else [0, 2, 1])
            lengths = paddle.to_tensor(self.lengths, dtype="int32") if self.lengths else None
            out, state = self.recurrent(rows, self.start(y), sequence_length=lengths)
            last = state[0] if self.layer.kind == "LSTM" else state
            return self.head(out), last[-1]

    return Network()


def export(name: str, folder: Path) -> None:
    """Write one of them, its weights, and an input that it can be run on."""
    paddle.seed(11)
    net = network(LAYERS[name])
    net.eval()
    spec = [paddle.static.InputSpec(list(SHAPE), "float32", "x")]
    paddle.jit.save(paddle.jit.to_static(net, input_spec=spec, full_graph=True), str(folder / "model"))
    np.savez(folder / "weights.npz", **{key: value.numpy() for key, value in net.state_dict().items()})
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32))


def main() -> None:
    """Write all of them that this Paddle has."""
    root = Path(sys.argv[1])
    for name in LAYERS:
        (root / name).mkdir(parents=True, exist_ok=True)
        try:
            export(name, root / name)
        except TypeError as error:  # a setting that this release does not have
            print(f"{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()

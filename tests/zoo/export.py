"""How does a network of the zoo become a Paddle inference model on disk?

Run as a script inside one of the Paddle environments: 2.6.2 writes ``model.pdmodel``, 3.2.2 writes
``model.json`` (PIR), both with ``model.pdiparams`` and a ``deploy.yaml`` as PaddleSeg's own export
does. ``io.npz`` holds an input ``x`` and the output ``y`` of the saved model in its own Paddle.
"""

from __future__ import annotations

import argparse
import os
import zlib  # also needed before paddle: libpaddle 2.6 brings a zlib of its own that crashes later imports
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import yaml
from numpy.typing import NDArray
from paddle import nn

from . import architectures
from .images import random_images
from .weights import CALIBRATION_PASSES, calibrate, randomise

OUTPUT_OPS = ("none", "argmax", "softmax")
CALIBRATION_IMAGES = 4
LARGEST_CALIBRATION = (128, 256)
"""Statistics need no more pixels than this, and large batches of large images take minutes."""


class Deployed(nn.Layer):
    """The network as it is deployed: the first logit only, then the output operator."""

    def __init__(self, model: nn.Layer, output_op: str) -> None:
        super().__init__()
        self.model = model
        self.output_op = output_op

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        logit = self.model(x)[0]
        if self.output_op == "argmax":
            return paddle.argmax(logit, axis=1, dtype="int32")
        if self.output_op == "softmax":
            return nn.functional.softmax(logit, axis=1)
        return logit


def export(name: str, size: tuple[int, int], output: Path, *, dynamic: bool, output_op: str) -> None:
    """Build the architecture `name`, and save it for images of `size` (or of any, if dynamic)."""
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    paddle.seed(seed % 2**31)
    np.random.seed(seed)  # some networks of PaddleSeg draw from the global generator
    os.environ["PADDLESEG_EXPORT_STAGE"] = "True"  # PaddleSeg then takes BatchNorm2D for SyncBatchNorm

    model = architectures.build(name)
    randomise(model, rng)
    calibration_size = size if np.prod(size) <= np.prod(LARGEST_CALIBRATION) else LARGEST_CALIBRATION
    batches = [random_images(CALIBRATION_IMAGES, calibration_size, rng) for _ in range(CALIBRATION_PASSES)]
    calibrate(model, batches)
    save(Deployed(model, output_op), size, output, dynamic=dynamic)
    write_deploy_yaml(output, size, dynamic=dynamic, output_op=output_op)
    x = random_images(1, size, rng)
    y = run(output / "model", x)
    np.savez(output / "io.npz", x=x, y=y)
    print(f"y: {y.shape} {y.dtype} mean {y.mean():.4g} std {y.std():.4g}")


def save(model: nn.Layer, size: tuple[int, int], output: Path, *, dynamic: bool) -> None:
    """Trace `model`, and write it as ``model.*`` in the format of the Paddle that runs."""
    shape = [-1, 3, -1, -1] if dynamic else [1, 3, *size]
    model.eval()
    spec = [paddle.static.InputSpec(shape=shape, dtype="float32", name="x")]
    paddle.jit.save(paddle.jit.to_static(model, input_spec=spec), str(output / "model"))


def run(prefix: Path, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the output of the saved model for `x`, operator by operator, without graph passes."""
    loaded = paddle.jit.load(str(prefix))
    loaded.eval()
    y = loaded(paddle.to_tensor(x))
    return np.asarray((y[0] if isinstance(y, list | tuple) else y).numpy())


def write_deploy_yaml(output: Path, size: tuple[int, int], *, dynamic: bool, output_op: str) -> None:
    """Describe the saved model as PaddleSeg's tools/export.py does."""
    program = "model.json" if (output / "model.json").exists() else "model.pdmodel"
    height, width = size
    deploy = {
        "model": program,
        "params": "model.pdiparams",
        "transforms": [
            {"type": "Resize", "target_size": [width, height]},
            {"type": "Normalize", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        ],
        "input_shape": [None, 3, None, None] if dynamic else [1, 3, height, width],
        "output_op": output_op,
        "output_dtype": "int32" if output_op == "argmax" else "float32",
    }
    (output / "deploy.yaml").write_text(yaml.dump({"Deploy": deploy}))


def main() -> None:
    """Export one model as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=architectures.ARCHITECTURES)
    parser.add_argument("size", type=int, nargs=2)
    parser.add_argument("output", type=Path)
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--output-op", choices=OUTPUT_OPS, default="none")
    given = parser.parse_args()
    export(given.name, tuple(given.size), given.output, dynamic=given.dynamic, output_op=given.output_op)


if __name__ == "__main__":
    main()

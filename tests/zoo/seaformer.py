"""How does a ``.pdmodel`` that came without its weights get weights with which it can run?

The reported SeaFormer case is the program file of a real user, and nothing else. It is filled with
random weights, and its batch norms with the statistics that arise from them, so that it can be
converted and run like the user's own model. Any other program of that kind will do as well. Run as
a script inside the Paddle 2.6.2 environment.
"""

from __future__ import annotations

import argparse
import shutil
import zlib  # also needed before paddle: libpaddle 2.6 brings a zlib of its own that crashes later imports
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from .images import random_images
from .weights import VARIANCE_FLOOR

IMAGES = 4
SEED = zlib.crc32(b"SeaFormer")

Values = dict[str, NDArray[np.float32]]


def fill(pdmodel: Path, output: Path) -> None:
    """Write into `output` the program `pdmodel` as it is, with weights, deploy.yaml and io.npz."""
    rng = np.random.default_rng(SEED)
    program = paddle.static.Program.parse_from_string(pdmodel.read_bytes())
    height, width = image_size(program)
    executor = paddle.static.Executor(paddle.CPUPlace())
    values = draw(program, rng)
    store(values)
    values |= statistics(program, executor, random_images(IMAGES, (height, width), rng))
    store(values)

    feed, fetch = ends(program)
    variables = [program.global_block().var(name) for name in (feed, fetch)]
    parameters = paddle.static.serialize_persistables(*variables, executor, program=program)
    (output / "model.pdiparams").write_bytes(parameters)
    shutil.copyfile(pdmodel, output / "model.pdmodel")
    deploy = pdmodel.with_name("deploy.yaml")
    if deploy.exists():
        shutil.copyfile(deploy, output / deploy.name)
    x = random_images(1, (height, width), rng)
    y = run(output / "model", executor, x)
    np.savez(output / "io.npz", x=x, y=y)
    print(f"y: {y.shape} {y.dtype} mean {y.mean():.4g} std {y.std():.4g}")


def ends(program: Any) -> tuple[str, str]:
    """The names of the variables that enter and leave the program."""
    ops = program.global_block().ops
    (feed,) = (op.output("Out")[0] for op in ops if op.type == "feed")
    (fetch,) = (op.input("X")[0] for op in ops if op.type == "fetch")
    return feed, fetch


def image_size(program: Any) -> tuple[int, int]:
    """The height and width of the images which the program takes."""
    height, width = program.global_block().var(ends(program)[0]).shape[2:]
    return height, width


def draw(program: Any, rng: np.random.Generator) -> Values:
    """Return a random value for each parameter of `program`, by the part it plays there."""
    block = program.global_block()
    values: Values = {}
    for op in block.ops:
        if op.type in ("feed", "fetch"):
            continue
        for role in op.input_names:
            for name in op.input(role):
                if name not in values and block.has_var(name) and block.var(name).persistable:
                    values[name] = _draw(role, block.var(name).shape, rng).astype(np.float32)
    return values


def _draw(role: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Draw a parameter that an operator takes as its input called `role`."""
    if role == "Filter":
        return rng.normal(0.0, (2.0 / np.prod(shape[1:])) ** 0.5, shape)
    if role == "Scale":
        return rng.uniform(0.5, 1.5, shape)
    if role == "Variance":
        return np.ones(shape)
    if role == "Mean":
        return np.zeros(shape)
    return rng.normal(0.0, 0.1 if len(shape) == 1 else 0.3, shape)


def statistics(program: Any, executor: Any, images: NDArray[np.float32]) -> Values:
    """Return the mean and variance of what enters each batch norm, over all `images`.

    One image at a time, since an exported program has its batch size written into its reshapes; so
    the variance between the images is added to that within them.
    """
    training = program.clone()
    norms = [op for op in training.global_block().ops if op.type == "batch_norm"]
    for op in norms:
        train(op)
    seen: dict[str, list[NDArray[np.float32]]] = {}
    feed, fetch = ends(training)
    for image in images:
        executor.run(training, feed={feed: image[None]}, fetch_list=[fetch])
        for op in norms:
            for role in ("Mean", "Variance"):
                seen.setdefault(op.input(role)[0], []).append(load(op.input(role)[0]))
    result: Values = {}
    for op in norms:
        means, variances = (np.stack(seen[op.input(role)[0]]) for role in ("Mean", "Variance"))
        result[op.input("Mean")[0]] = means.mean(0)
        total = variances.mean(0) + means.var(0)
        result[op.input("Variance")[0]] = np.maximum(total, VARIANCE_FLOOR).astype(np.float32)
    return result


def train(norm: Any) -> None:
    """Make a batch norm of an exported program use, and keep, the statistics of its input."""
    for attribute in ("is_test", "use_global_stats"):
        norm._set_attr(attribute, False)
    norm._set_attr("momentum", 0.0)
    reserve = norm.block.create_var(name=norm.output("Y")[0] + ".reserve", dtype="float32")
    norm.desc.set_output("ReserveSpace", [reserve.name])  # wanted in training, left out of exports


def store(values: Values) -> None:
    """Put `values` into Paddle's global scope, where the executor finds them."""
    for name, value in values.items():
        paddle.static.global_scope().var(name).get_tensor().set(value, paddle.CPUPlace())


def load(name: str) -> NDArray[np.float32]:
    """Return a copy of a value in Paddle's global scope."""
    return np.array(paddle.static.global_scope().find_var(name).get_tensor())


def run(prefix: Path, executor: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the output of the model on disk for `x`, which also tells that it can be loaded."""
    with paddle.static.scope_guard(paddle.static.Scope()):
        program, feeds, fetches = paddle.static.load_inference_model(str(prefix), executor)
        (y,) = executor.run(program, feed={feeds[0]: x}, fetch_list=fetches)
    return np.asarray(y)


def main() -> None:
    """Fill one program as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pdmodel", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    paddle.enable_static()
    fill(given.pdmodel, given.output)


if __name__ == "__main__":
    main()

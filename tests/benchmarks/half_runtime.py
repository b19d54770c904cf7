"""Is the simulation of half precision right? Against ncnn, which stores its values in half precision.

python -m tests.benchmarks.half_runtime --ncnn ENV/bin/python [--precision fp16|bf16] [--pictures N] PAIR ...

ENV has ncnn and pnnx. For each pair (tests/sweeps/pairs.py) pnnx converts the ONNX file, its weights left in
float32; the picture is fed as it is, and turned over in up to three ways. Compared are

- the relative error of the output with everything in half precision, and that of what goes into a Sigmoid or
  Softmax at the end: where those saturate, the output's error is that of a few pixels;
- the errors of all values that both store, from the image (``along``: ours by theirs, in the middle, and the
  tenth and ninetieth hundredth);
- what each operator does alone, all others in float32: ncnn's layers one after the other against segdiff's
  groups (``likeness`` is the correlation of the logarithms), and the worst of both, with their shares of the
  sum of squares.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from segdiff.core.graph import Array
from segdiff.core.half import Half
from segdiff.half.groups import Group
from segdiff.half.read import File
from segdiff.half.simulate import groups, simulated
from segdiff.half.targets import How
from tests.benchmarks.ncnn_run import SQUASH, Layer, layers
from tests.sweeps.pairs import Pair, pairs

SAME = 1e-3
"""Two values of both runtimes are the same one up to this relative difference."""

RUNNER = Path(__file__).with_name("ncnn_run.py")

TURNS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""The axes along which the picture is turned over, to have more than one."""


def main() -> None:
    """A line for each pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="+")
    parser.add_argument("--ncnn", required=True, type=Path, help="the Python that has ncnn, beside its pnnx")
    parser.add_argument("--precision", choices=("fp16", "bf16"), default="fp16")
    parser.add_argument("--input", type=Path, help="an .npz whose x all pairs are fed, not their own picture")
    parser.add_argument("--pictures", type=int, default=len(TURNS), help="how many of the four turns")
    asked = parser.parse_args()
    if not asked.ncnn.is_file() or not asked.ncnn.with_name("pnnx").is_file():
        sys.exit(f"{asked.ncnn}: has no ncnn with pnnx beside it; nothing was compared")
    for pair in pairs(asked.patterns):
        pair = replace(pair, io=asked.input or pair.io)
        print(json.dumps(compared(pair, asked.ncnn, asked.precision, TURNS[: asked.pictures])), flush=True)


def compared(pair: Pair, python: Path, precision: Half, turns: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    """The figures of one pair, or why there are none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            param = converted(pair, python, folder)
            theirs = []
            for turn in turns:
                np.save(folder / "x.npy", np.ascontiguousarray(np.flip(pair.image, turn)))
                files = [param, param.with_suffix(".bin"), folder / "x.npy", folder / "out.npz"]
                run([python, RUNNER, *files, precision])
                with np.load(folder / "out.npz") as found:
                    theirs.append({key: found[key] for key in found.files})
        except subprocess.CalledProcessError as error:
            words = (error.stderr or error.stdout or "").strip().splitlines()
            return {"pair": pair.name, "skipped": words[-1][:200] if words else str(error)}
        order = layers(param.read_text())
    model = onnx.load(pair.candidate)
    how = How(precision=precision, batch_norm="folded")
    each = [
        sides(model, np.ascontiguousarray(np.flip(pair.image, turn)), order, got, how)
        for turn, got in zip(turns, theirs, strict=True)
    ]
    return {"pair": pair.name, "precision": precision, "pictures": len(each), **summed(each)}


def converted(pair: Pair, python: Path, folder: Path) -> Path:
    """The net as pnnx writes it, its weights in float32."""
    shutil.copyfile(pair.candidate, folder / "net.onnx")
    shape = ",".join(map(str, pair.image.shape))
    run([python.with_name("pnnx"), folder / "net.onnx", f"inputshape=[{shape}]", "fp16=0"], folder)
    return folder / "net.ncnn.param"


def run(words: list[Any], folder: Path | None = None) -> None:
    """A command whose output nobody reads unless it fails."""
    command = [str(word) for word in words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=1800)


# --- one picture


@dataclass(frozen=True)
class Sides:
    """Both sides' errors on one picture: of the output, of the end before a squashing function, of the values
    that both store, and what each group does alone."""

    output: tuple[float, float]
    end: tuple[float, float]
    along: list[tuple[float, float]]
    alone: dict[str, tuple[float, float]]


def sides(
    model: onnx.ModelProto, image: Array, order: list[Layer], theirs: Mapping[str, Array], how: How
) -> Sides:
    """What both make of one picture."""
    values = all_values(model, image)
    half = all_values(simulated(model, how), image)
    found = {value: group for group in groups(model, how) for value in group.outputs}
    blobs = {key.removeprefix("blob."): each for key, each in theirs.items() if key.startswith("blob.")}
    known = matched(values, blobs, found)
    output = model.graph.output[0].name
    end = end_value(model)
    along = [
        (error(half[value], values[value]), error(theirs[f"half.{blob}"], values[value]))
        for blob, value in known.items()
        if value in found and value in half and f"half.{blob}" in theirs
    ]
    last = order[-1][2][0]
    before = order[-1][1][0] if order[-1][0] in SQUASH else last
    return Sides(
        (error(half[output], values[output]), error(theirs[f"half.{last}"], values[output])),
        (at_end(model, how, image, end, values), error(theirs[f"half.{before}"], values[end])),
        along,
        each_alone(model, how, image, end, values, placed(model, order, known, theirs, how)),
    )


def end_value(model: onnx.ModelProto) -> str:
    """The value at which errors are measured: the output, or what goes into the Sigmoid or Softmax that
    writes it."""
    output = model.graph.output[0].name
    writer = next(node for node in model.graph.node if output in node.output)
    return str(writer.input[0]) if writer.op_type in SQUASH else output


def ending_in(model: onnx.ModelProto, end: str) -> onnx.ModelProto:
    """The model with that value for its only output."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.output[:]
    made.graph.output.append(onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, None))
    return made


def at_end(model: onnx.ModelProto, how: How, image: Array, end: str, values: Mapping[str, Array]) -> float:
    """The simulation's error at the end."""
    return error(outputs(simulated(ending_in(model, end), how), image)[0], values[end])


def each_alone(
    model: onnx.ModelProto,
    how: How,
    image: Array,
    end: str,
    values: Mapping[str, Array],
    theirs: Mapping[str, float],
) -> dict[str, tuple[float, float]]:
    """What each group does alone in the simulation, beside ncnn's layers that are in it."""
    short = ending_in(model, end)
    found = {}
    for group in groups(short, how):
        if group.nodes and group.value in theirs:
            got = outputs(simulated(short, how, only=frozenset(group.outputs)), image)[0]
            found[group.value] = (error(got, values[end]), theirs[group.value])
    return found


def placed(
    model: onnx.ModelProto,
    order: list[Layer],
    known: Mapping[str, str],
    theirs: Mapping[str, Array],
    how: How,
) -> dict[str, float]:
    """What ncnn's layers do alone, summed up (in quadrature) over the group that each is part of: the one
    whose node makes its blob, else that of the layer that reads it."""
    by_value = {
        name: group.value
        for group in groups(ending_in(model, end_value(model)), how)
        for index in group.nodes
        for name in File(model).nodes[index].output
    }
    readers = {name: outs[0] for _, ins, outs in reversed(order) for name in ins}
    sums: dict[str, float] = {}
    for key, array in theirs.items():
        blob: str | None = key.removeprefix("alone.")
        if key.startswith("alone.") and np.isfinite(array):
            while blob is not None and known.get(blob) not in by_value:
                blob = readers.get(blob)
            if blob is not None:
                owner = by_value[known[blob]]
                sums[owner] = sums.get(owner, 0.0) + float(array) ** 2
    return {value: total**0.5 for value, total in sums.items()}


# --- all pictures


def summed(each: list[Sides]) -> dict[str, Any]:
    """The figures of all pictures: errors as the root of their mean square."""
    output, end = (
        [root(getattr(one, name)[side] for one in each) for side in (0, 1)] for name in ("output", "end")
    )
    along = np.array([ours / theirs for one in each for ours, theirs in one.along if ours and theirs])
    names = [name for name in each[0].alone if all(name in one.alone for one in each)]
    alone = {name: [root(one.alone[name][side] for one in each) for side in (0, 1)] for name in names}
    logs = np.log([pair for pair in alone.values() if min(pair) > 0])
    return {
        "simulation": output[0],
        "ncnn": output[1],
        "factor": factor(*output),
        "end_factor": factor(*end),
        "end": end,
        "along": [len(along), *(round(float(np.quantile(along, q)), 3) for q in (0.1, 0.5, 0.9))],
        "alone": len(alone),
        "likeness": round(float(np.corrcoef(logs.T)[0, 1]), 3) if len(logs) > 2 else None,
        "worst": worst(alone, 0),
        "ncnn_worst": worst(alone, 1),
    }


def root(errors: Iterable[float]) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(np.square(list(errors)))))


def factor(ours: float, theirs: float) -> float:
    """How many times the larger is the smaller."""
    return max(ours, theirs) / max(min(ours, theirs), 1e-30)


def worst(alone: Mapping[str, list[float]], side: int) -> list[list[Any]]:
    """The three operators with the largest errors alone, and their shares of the sum of squares."""
    whole = sum(pair[side] ** 2 for pair in alone.values()) or 1.0
    shares = [[round(pair[side] ** 2 / whole, 3), name] for name, pair in alone.items()]
    return sorted(shares, key=lambda each: -each[0])[:3]


# --- models


def error(got: Array, truth: Array) -> float:
    """Relative L2."""
    difference = got.astype(np.float64).reshape(-1) - truth.reshape(-1)
    return float(np.linalg.norm(difference) / np.linalg.norm(truth.astype(np.float64)))


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session of one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def outputs(model: onnx.ModelProto, data: Array) -> list[Array]:
    """The outputs of a model with one input."""
    made = session(model)
    return [np.asarray(each) for each in made.run(None, {made.get_inputs()[0].name: data})]


def all_values(model: onnx.ModelProto, data: Array) -> dict[str, Array]:
    """Every float value of a run."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    known = {item.name for item in shown.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known and node.op_type != "Constant":
                shown.graph.output.append(onnx.ValueInfoProto(name=name))
    made = session(shown)
    feeds = {made.get_inputs()[0].name: data}
    names = [item.name for item in shown.graph.output]
    found = {name: np.asarray(each) for name, each in zip(names, made.run(None, feeds), strict=True)}
    return {**feeds, **{name: each for name, each in found.items() if each.dtype == np.float32}}


def matched(
    values: Mapping[str, Array], blobs: Mapping[str, Array], stored: Mapping[str, Group]
) -> dict[str, str]:
    """The ONNX value that each blob of ncnn's is, by what both hold; of several one that a group has
    ``stored``."""
    by_size: dict[int, list[str]] = {}
    for name in sorted(values, key=lambda each: each not in stored):
        by_size.setdefault(values[name].size, []).append(name)
    found = {}
    for blob, array in blobs.items():
        flat = array.reshape(-1)
        for name in by_size.get(flat.size, ()):
            truth = values[name].reshape(-1)
            if np.linalg.norm(truth - flat) <= SAME * np.linalg.norm(truth):
                found[blob] = name
                break
    return found


if __name__ == "__main__":
    main()

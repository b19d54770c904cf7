"""Is the simulation of half precision right? Against ncnn, which stores its values in half precision.

python -m tests.benchmarks.half_runtime --ncnn ENV/bin/python [--precision fp16|bf16] PAIR ...

ENV has ncnn and pnnx. For each pair (tests/sweeps/pairs.py) pnnx converts the ONNX file, its weights left in
float32. Two things are compared: the relative error of the output with everything in half precision, and
where it comes from. For that both run from every place of the net on, fed with exact values there: the error
falls from place to place, and most where the worst operator stands.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from segdiff.core.graph import Array
from segdiff.core.half import Half
from segdiff.half.simulate import simulated
from segdiff.half.targets import How
from tests.benchmarks.ncnn_run import layers
from tests.sweeps.pairs import Pair, pairs

SAME = 1e-3
"""Two values of both runtimes are the same one up to this relative difference."""

RUNNER = Path(__file__).with_name("ncnn_run.py")


def main() -> None:
    """A line for each pair, and one at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="+")
    parser.add_argument("--ncnn", required=True, type=Path, help="the Python that has ncnn, beside its pnnx")
    parser.add_argument("--precision", choices=("fp16", "bf16"), default="fp16")
    parser.add_argument("--input", type=Path, help="an .npz whose x all pairs are fed, not their own picture")
    asked = parser.parse_args()
    if not asked.ncnn.is_file() or not asked.ncnn.with_name("pnnx").is_file():
        sys.exit(f"{asked.ncnn}: has no ncnn with pnnx beside it; nothing was compared")
    for pair in pairs(asked.patterns):
        pair = replace(pair, io=asked.input or pair.io)
        print(json.dumps(compared(pair, asked.ncnn, asked.precision)), flush=True)


def compared(pair: Pair, python: Path, precision: Half) -> dict[str, Any]:
    """Both errors of one pair, and the places where they fall most."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            param = converted(pair, python, folder)
            np.save(folder / "x.npy", pair.image)
            files = [param, param.with_suffix(".bin"), folder / "x.npy", folder / "out.npz"]
            run([python, RUNNER, *files, precision])
        except subprocess.CalledProcessError as error:
            words = (error.stderr or error.stdout or "").strip().splitlines()
            return {"pair": pair.name, "skipped": words[-1][:200] if words else str(error)}
        with np.load(folder / "out.npz") as found:
            theirs = {key: found[key] for key in found.files}
        return {"pair": pair.name, "precision": precision, **judged(pair, param, theirs, precision)}


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


def judged(pair: Pair, param: Path, theirs: Mapping[str, Array], precision: Half) -> dict[str, Any]:
    """The figures of both sides."""
    model = onnx.load(pair.candidate)
    how = How(precision=precision, batch_norm="folded")
    values = all_values(model, pair.image)
    end = model.graph.output[0].name
    truth = values[end]
    ours = error(outputs(simulated(model, how), pair.image)[0], truth)
    fitting = error(theirs["whole"].reshape(-1), truth.reshape(-1))
    known = matched(values, theirs)
    steps = list(cuts(layers(str(param)), known, end))
    curve = []
    for place, live in steps:
        got = from_there(model, how, values, live, end)
        if got is not None and np.isfinite(theirs["curve"][place]):
            curve.append((place, live, error(got, truth), float(theirs["curve"][place])))
    return {
        "simulation": ours,
        "ncnn": fitting,
        "factor": max(ours, fitting) / max(min(ours, fitting), 1e-30),
        "places": len(curve),
        "curve_factor": float(np.median([max(a, b) / max(min(a, b), 1e-30) for _, _, a, b in curve])),
        "worst": falls(curve, 2)[:3],
        "ncnn_worst": falls(curve, 3)[:3],
    }


def falls(curve: list[tuple[int, list[str], float, float]], side: int) -> list[list[Any]]:
    """Where a curve falls most: what is live behind that place, and the share of the squared error."""
    points = [(each[1], float(each[side])) for each in curve]  # type: ignore[arg-type]
    whole = points[0][1] ** 2 if points else 1.0
    steps = [
        [round((before[1] ** 2 - after[1] ** 2) / whole, 3), "+".join(sorted({*after[0]} - {*before[0]}))]
        for before, after in pairwise(points)
    ]
    return sorted(steps, key=lambda each: -each[0])


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


def matched(values: Mapping[str, Array], theirs: Mapping[str, Array]) -> dict[str, str]:
    """The ONNX value that each blob of ncnn's is, by what both hold."""
    by_size: dict[int, list[str]] = {}
    for name, array in values.items():
        by_size.setdefault(array.size, []).append(name)
    found = {}
    for key, blob in theirs.items():
        if key.startswith("blob."):
            flat = blob.reshape(-1)
            for name in by_size.get(flat.size, ()):
                truth = values[name].reshape(-1)
                if np.linalg.norm(truth - flat) <= SAME * np.linalg.norm(truth):
                    found[key.removeprefix("blob.")] = name
                    break
    return found


def cuts(
    order: list[tuple[list[str], list[str]]], known: Mapping[str, str], end: str
) -> Iterator[tuple[int, list[str]]]:
    """The places of ncnn's layers behind which all that is live is known in the ONNX file, with that."""
    seen: set[str] = set()
    for place in range(len(order) - 1):
        made = {name for _, outs in order[: place + 1] for name in outs}
        live = made & {name for ins, _ in order[place + 1 :] for name in ins}
        if live and live <= known.keys():
            names = sorted({known[name] for name in live})
            key = "+".join(names)
            if key not in seen and end not in names:
                seen.add(key)
                yield place, names


def from_there(
    model: onnx.ModelProto, how: How, values: Mapping[str, Array], live: list[str], end: str
) -> Array | None:
    """The output of what stands behind some values, in half precision, they themselves stored in it; None
    where something else reaches it."""
    part = behind(model, live, end)
    if part is None:
        return None
    for item in part.graph.input:
        for size in values[item.name].shape:
            item.type.tensor_type.shape.dim.add().dim_value = size
    made = session(simulated(part, how))
    feeds = {item.name: values[item.name] for item in made.get_inputs()}
    return np.asarray(made.run([end], feeds)[0])


def behind(model: onnx.ModelProto, live: list[str], end: str) -> onnx.ModelProto | None:
    """The nodes between some values and the output."""
    writer = {name: node for node in model.graph.node for name in node.output}
    held = {tensor.name for tensor in model.graph.initializer}
    needed: set[str] = set()
    queue = [end]
    while queue:
        name = queue.pop()
        if name in live or name in held or not name:
            continue
        node = writer.get(name)
        if node is None:
            return None
        if node.output[0] not in needed:
            needed.add(node.output[0])
            queue += node.input
    nodes = [node for node in model.graph.node if node.output[0] in needed]
    read = {name for node in nodes for name in node.input}
    graph = onnx.helper.make_graph(
        nodes,
        "part",
        [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [])
            for name in live
            if name in read
        ],
        [item for item in model.graph.output if item.name == end],
        [tensor for tensor in model.graph.initializer if tensor.name in read],
    )
    for item in graph.input:
        item.type.tensor_type.ClearField("shape")
        item.type.tensor_type.shape.SetInParent()
    made = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return made if graph.input else None


if __name__ == "__main__":
    main()

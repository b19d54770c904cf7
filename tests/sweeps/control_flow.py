"""Is segdiff right on programs that branch and loop? Paddle's if and while, right and with one fault.

    python -m tests.sweeps.control_flow FOLDER [--format pir|pdmodel] [--faults N] [--only NET ...]

writes the networks of :mod:`tests.sweeps.control_flow_nets` into FOLDER, converts them with paddle2onnx 2.1.0
(PIR, by the Python that runs this) and 1.3.1 (.pdmodel, written by Paddle 2.6; environments of the zoo, or
those given by --paddle26 and --paddle2onnx131), plants faults inside and outside of the blocks, and prints a
row a case. A conversion that onnxruntime refuses is left out, and said.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto, helper, numpy_helper

import segdiff
from segdiff.core.captures import all_graphs
from segdiff.core.errors import SegdiffError
from tests.models import Array, copied

SEEN = 1e-3
"""Relative change of an output from which a fault is one that a user sees."""

OTHER = {"Sigmoid": "Tanh", "Relu": "Abs", "Tanh": "Sigmoid"}


@dataclass(frozen=True)
class Planted:
    """A fault, told by the output of its node; ``inside`` says that it lies in a block."""

    output: str
    op_type: str
    inside: bool
    model: ModelProto


def export(python: Path | str, folder: Path) -> None:
    """Write all networks with that Python's Paddle."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "GLOG_minloglevel": "3"}
    command = [str(python), "-m", "tests.sweeps.control_flow_nets", str(folder)]
    subprocess.run(command, check=True, env=environment, capture_output=True)


def convert(folder: Path, executable: Path | None) -> Path | None:
    """The conversion, by paddle2onnx of this environment or by that executable; None where it fails."""
    target = folder / "model.onnx"
    if executable is None:
        try:
            return segdiff.convert(folder, target, opset=16)
        except SegdiffError:
            return None
    words = [
        "--model_dir",
        folder,
        "--model_filename",
        "model.pdmodel",
        "--params_filename",
        "model.pdiparams",
    ]
    subprocess.run(
        [executable, *words, "--save_file", target, "--opset_version", "16"], capture_output=True, check=False
    )
    return target if target.is_file() else None


def outputs(model: ModelProto, feed: Array) -> list[Array] | None:
    """What onnxruntime makes of the input; None where it refuses."""
    try:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return list(session.run(None, {session.get_inputs()[0].name: feed}))
    except Exception:  # whatever onnxruntime says of a conversion that is none
        return None


def differs(ours: list[Array], theirs: list[Array]) -> float:
    """The largest relative difference of an output."""
    gaps = [
        float(np.abs(a - b).max() / (np.abs(a).max() or 1.0)) if a.shape == b.shape else 1.0
        for a, b in zip(ours, theirs, strict=True)
    ]
    return max(gaps)


def planted(model: ModelProto) -> Iterator[Planted]:
    """Every fault that can be made of a node: a weight times 1.5, another function, padding counted."""
    count = len(list(all_graphs(model.graph)))
    for place, graph in enumerate(all_graphs(model.graph)):
        for number, node in enumerate(graph.node):
            copy = copied(model)
            changed = list(all_graphs(copy.graph))[place].node[number]
            if spoil(copy, changed):
                yield Planted(node.output[0], node.op_type, place < count - 1, copy)


def spoil(model: ModelProto, node: NodeProto) -> bool:
    """Change one node; false where this one is not to be changed."""
    if node.op_type in OTHER:
        node.op_type = OTHER[node.op_type]
    elif node.op_type == "AveragePool":
        kept = [attribute for attribute in node.attribute if attribute.name != "count_include_pad"]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("count_include_pad", 1)])
    elif node.op_type == "Conv":
        weight = held(model, node.input[1])
        if weight is None:
            return False
        name = f"{node.output[0]}.spoilt"
        model.graph.initializer.append(numpy_helper.from_array(weight * np.float32(1.5), name))
        node.input[1] = name
    else:
        return False
    return True


def held(model: ModelProto, name: str) -> Array | None:
    """A constant of the file, wherever it stands."""
    for graph in all_graphs(model.graph):
        for tensor in graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        for node in graph.node:
            if node.op_type == "Constant" and name in node.output:
                return numpy_helper.to_array(node.attribute[0].t)
    return None


def judged(program: Path, candidate: Path, feed: Path, fault: Planted | None) -> tuple[str, str]:
    """``right`` or what is wrong, and what was said."""
    try:
        report = segdiff.locate(program, candidate, feed, deployed=False)
    except SegdiffError as error:
        return "error", str(error)
    kinds = [
        f"{origin.cause.kind}{'' if origin.cause.proven else '?'}"
        for origin in report.origins
        if origin.cause
    ]
    said = f"{report.verdict} {' '.join(kinds)} {report.sentence if report.origins else ''}"
    if fault is None:
        return ("right" if report.verdict == "agrees" else "false alarm"), said
    if report.verdict != "diverges":
        return report.verdict, said
    named = {
        name for origin in report.origins[:1] for node in origin.candidate_nodes for name in node.outputs
    }
    if fault.output not in named:
        return "another op", said
    return ("right" if len(report.origins) == 1 else "more origins"), said


def cases(folder: Path, faults: int, seed: int) -> Iterator[tuple[str, Planted | None, Path]]:
    """The conversion as it is, then visible faults: inside of blocks first."""
    model = onnx.load(folder / "model.onnx")
    feed = np.load(folder / "x.npy")
    right = outputs(model, feed)
    if right is None:
        return
    yield "healthy", None, folder / "model.onnx"
    found = list(planted(model))
    order = np.random.default_rng(seed).permutation(len(found))
    for place in sorted(order, key=lambda n: not found[n].inside):
        got = outputs(found[place].model, feed) if faults else None
        if got is None or differs(right, got) < SEEN:
            continue
        file = folder / f"fault-{faults}.onnx"
        onnx.save(found[place].model, file)
        faults -= 1
        yield "inside" if found[place].inside else "outside", found[place], file


def main() -> None:
    """Run the sweep and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=("pir", "pdmodel"))
    parser.add_argument("--faults", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--paddle26", type=Path)
    parser.add_argument("--paddle2onnx131", type=Path)
    given = parser.parse_args()
    tally: dict[str, int] = {}
    for kind in [given.format] if given.format else ["pir", "pdmodel"]:
        for folder in made(kind, given):
            program = folder / ("model.json" if kind == "pir" else "model.pdmodel")
            told = 0
            for case, fault, file in cases(folder, given.faults, given.seed):
                start = time.perf_counter()
                verdict, said = judged(program, file, folder / "x.npy", fault)
                where = f"{fault.op_type} {fault.output}" if fault else ""
                seconds = time.perf_counter() - start
                print(
                    f"{kind:8}{folder.name:16}{case:9}{verdict:13}{seconds:5.1f} s  {where}  {said}",
                    flush=True,
                )
                tally[verdict] = tally.get(verdict, 0) + 1
                told += 1
            if not told:
                print(
                    f"{kind:8}{folder.name:16}left out: paddle2onnx makes no file that onnxruntime runs",
                    flush=True,
                )
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items())))


def made(kind: str, given: argparse.Namespace) -> list[Path]:
    """The folders of the networks in one format, written and converted where they are not there yet."""
    root: Path = given.folder / kind
    if not root.is_dir():
        root.mkdir(parents=True)
        export(sys.executable if kind == "pir" else given.paddle26 or zoo("p26"), root)
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in folders:
        if not (folder / "model.onnx").is_file():
            older = (
                given.paddle2onnx131 or zoo("c131").with_name("paddle2onnx") if kind == "pdmodel" else None
            )
            convert(folder, older)
    wanted = given.only or [folder.name for folder in folders]
    return [each for each in folders if each.name in wanted and (each / "model.onnx").is_file()]


def zoo(environment: str) -> Path:
    """The Python of one of the zoo's environments."""
    from tests.zoo.environments import python_of

    return python_of(environment)


if __name__ == "__main__":
    main()

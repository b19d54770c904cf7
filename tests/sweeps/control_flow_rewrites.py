"""Is segdiff right on ONNX programs that branch and loop, against ONNX: rewritten, and with one fault?

    python -m tests.sweeps.control_flow_rewrites FOLDER [--faults N] [--only NAME ...]

takes the programs of :mod:`tests.sweeps.control_flow_onnx`, each against itself, against the graphs of
onnxslim and onnxruntime, against its unrolled and folded form (both ways round), and against files with one
fault: inside of blocks first, and in what decides how often a loop turns or which branch is taken.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, numpy_helper

from segdiff.core.captures import all_graphs
from tests.models import Array, copied
from tests.sweeps.control_flow import SEEN, Planted, differs, judged, outputs, planted
from tests.sweeps.control_flow_onnx import PROGRAMS, SHAPE, program, unrolled


def rewritten(model: ModelProto, feed: Array, folder: Path) -> Iterator[tuple[str, ModelProto, ModelProto]]:
    """The same program in other words: what was done, the reference, the candidate."""
    import onnxslim

    yield "itself", model, model
    slim = onnxslim.slim(copied(model))
    if slim is not None:
        yield "onnxslim", model, slim
    for level in ("BASIC", "EXTENDED"):
        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
        options.optimized_model_filepath = str(folder / "optimised.onnx")
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        yield f"ort {level.lower()}", model, onnx.load(folder / "optimised.onnx")
    flat = unrolled(model, feed)
    if len(list(all_graphs(flat.graph))) < len(list(all_graphs(model.graph))):
        yield "unrolled", model, flat
        yield "rolled", flat, model


def decisions(model: ModelProto) -> Iterator[Planted]:
    """Another number of iterations, another bound, the branches exchanged."""
    count = len(list(all_graphs(model.graph)))
    for place, graph in enumerate(all_graphs(model.graph)):
        for number, node in enumerate(graph.node):
            copy = copied(model)
            changed = list(all_graphs(copy.graph))[place].node[number]
            if node.op_type == "Loop":
                held = next(t for t in copy.graph.initializer if t.name == node.input[0])
                more = numpy_helper.to_array(held) + 1
                copy.graph.initializer.append(numpy_helper.from_array(more, "other.trips"))
                changed.input[0] = "other.trips"
            elif node.op_type == "Less":
                changed.op_type = "LessOrEqual"
            elif node.op_type == "If":
                for attribute in changed.attribute:
                    exchanged = {"then_branch": "else_branch", "else_branch": "then_branch"}
                    attribute.name = exchanged[attribute.name]
            else:
                continue
            yield Planted(node.output[0], f"{node.op_type} decides", place < count - 1, copy)


def cases(name: str, folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, Planted | None]]:
    """Every question about a program; both files stand in the folder."""
    model, feed = program(name), np.load(folder / "x.npy")
    for what, ours, theirs in rewritten(model, feed, folder):
        onnx.save(ours, folder / "ours.onnx")
        onnx.save(theirs, folder / "theirs.onnx")
        yield what, None
    onnx.save(model, folder / "ours.onnx")
    right = outputs(model, feed) or []
    random = np.random.default_rng(given.seed)
    blocks = sorted(random.permutation(np.array(list(planted(model)), object)), key=lambda f: not f.inside)
    for kind, found in (("fault", blocks), ("decision", list(decisions(model)))):
        left = given.faults
        for fault in found:
            got = outputs(fault.model, feed) if left else None
            if got is None or differs(right, got) < SEEN:
                continue
            left -= 1
            onnx.save(fault.model, folder / "theirs.onnx")
            yield kind, replace(fault, op_type=f"{'inside' if fault.inside else 'outside'} {fault.op_type}")


def main() -> None:
    """Run the sweep and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    tally: Counter[tuple[str, str]] = Counter()
    for name in given.only or PROGRAMS:
        folder: Path = given.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "x.npy", np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32))
        for what, fault in cases(name, folder, given):
            start = time.perf_counter()
            files = folder / "ours.onnx", folder / "theirs.onnx", folder / "x.npy"
            verdict, said = judged(*files, fault)
            where = f"{fault.op_type} {fault.output}" if fault else ""
            seconds = time.perf_counter() - start
            print(f"{name:13}{what:13}{verdict:13}{seconds:5.1f} s  {where}  {said}", flush=True)
            tally["faults" if fault else "healthy", verdict] += 1
    print(", ".join(f"{what}: {count} {verdict}" for (what, verdict), count in sorted(tally.items())))


if __name__ == "__main__":
    main()

"""Is segdiff right on recurrent networks? LSTM, GRU and simple RNN of both sides, right and with a fault.

    python -m tests.sweeps.recurrent FOLDER [--format pir|pdmodel|onnx] [--faults N] [--only NET ...]

writes the networks of :mod:`tests.sweeps.recurrent_specs` into FOLDER (PIR by the Python that runs this,
.pdmodel by the zoo's Paddle 2.6 or --paddle26), converts them with paddle2onnx (2.1.0; 1.1.0 of the zoo or
--paddle2onnx110 for .pdmodel) and writes them by hand, one node a layer and one a direction. Each of these
is asked as it is, the first and the last with N faults each. In the format ``onnx``, what was written by hand
is the reference: of the conversion, of the graphs of onnxslim and onnxruntime, and of the faults. A row a
case: right is a divergence at the node that was spoilt, with a proven cause of the fault's own kind.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto

import segdiff
from segdiff.core.errors import SegdiffError
from tests.sweeps.control_flow import differs, outputs, zoo
from tests.sweeps.recurrent_files import Fault, by_hand, faults, recurrent_nodes, with_lengths
from tests.sweeps.recurrent_specs import LAYERS

SEEN = 1e-4
"""Relative change of an output from which a fault is asked for; below lies what rounding hides."""


def written(kind: str, given: argparse.Namespace) -> list[Path]:
    """The folders of the networks in one format, written where they are not there yet."""
    root: Path = given.folder / kind
    if not root.is_dir():
        root.mkdir(parents=True)
        python = sys.executable if kind == "pir" else str(given.paddle26 or zoo("p26"))
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "GLOG_minloglevel": "3"}
        environment |= {"FLAGS_enable_pir_api": "1" if kind == "pir" else "0"}
        command = [python, "-m", "tests.sweeps.recurrent_nets", str(root)]
        subprocess.run(command, check=True, env=environment, capture_output=True)
    wanted = given.only or list(LAYERS)
    return [root / name for name in wanted if (root / name / "x.npy").is_file()]


def converted(folder: Path, kind: str, given: argparse.Namespace) -> ModelProto | None:
    """paddle2onnx's file; None where it makes none, or leaves the recurrent op out."""
    target = folder / "model.onnx"
    if not target.is_file():
        if kind == "pir":
            try:
                segdiff.convert(folder, target, opset=16)
            except SegdiffError:
                return None
        else:
            executable = given.paddle2onnx110 or zoo("c110").with_name("paddle2onnx")
            words = ["--model_filename", "model.pdmodel", "--params_filename", "model.pdiparams"]
            command = [executable, "--model_dir", folder, *words, "--save_file", target]
            subprocess.run([*command, "--opset_version", "16"], capture_output=True, check=False)
    if not target.is_file():
        return None
    model = onnx.load(target)
    if not recurrent_nodes(model) or outputs(model, np.load(folder / "x.npy")) is None:
        return None
    return with_lengths(model) if LAYERS[folder.name].lengths else model


def candidates(folder: Path, kind: str, given: argparse.Namespace) -> Iterator[tuple[str, ModelProto]]:
    """Right files, by what made them."""
    layer, feed = LAYERS[folder.name], np.load(folder / "x.npy")
    model = converted(folder, kind, given)
    if model is not None:
        yield "converted", model
    if layer.proj:
        return
    weights = dict(np.load(folder / "weights.npz"))
    whole = by_hand(layer, weights, apart=False)
    made = outputs(whole, feed)
    assert made is not None
    assert model is None or differs(made, outputs(model, feed) or []) < SEEN, folder
    yield "by hand", whole
    if layer.sides == 2:
        yield "apart", by_hand(layer, weights, apart=True)


def rewritten(model: ModelProto, folder: Path) -> Iterator[tuple[str, ModelProto]]:
    """The same file as a simplifier and an optimiser write it."""
    import onnxslim

    slim = onnxslim.slim(model)
    if slim is not None:
        yield "onnxslim", slim
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    yield "onnxruntime", onnx.load(folder / "optimised.onnx")


def judged(program: Path, candidate: Path, feed: Path, fault: Fault | None) -> tuple[str, str]:
    """``right`` or what is wrong, and what was said."""
    try:
        report = segdiff.locate(program, candidate, feed, deployed=False)
    except SegdiffError as error:
        return "error", str(error)
    causes = [origin.cause for origin in report.origins if origin.cause]
    told = " ".join(f"{cause.kind}{'' if cause.proven else '?'}" for cause in causes)
    said = f"{report.verdict} {told} | {causes[0].text if causes else report.sentence}"
    if fault is None:
        return ("right" if report.verdict == "agrees" else "false alarm"), said
    if report.verdict != "diverges":
        return report.verdict, said
    origin = report.origins[0]
    if not {name for node in origin.candidate_nodes for name in node.outputs} & set(fault.node):
        return "another op", said
    if origin.cause is None or not origin.cause.proven:
        return "unproven", said
    if origin.cause.kind not in fault.kinds:
        return "another word", said
    return ("right" if len(report.origins) == 1 else "more origins"), said


def cases(
    folder: Path, kind: str, given: argparse.Namespace
) -> Iterator[tuple[str, Fault | None, Path, Path]]:
    """All questions about one network."""
    feed = np.load(folder / "x.npy")
    made = list(candidates(folder, "pir" if kind == "onnx" else kind, given))
    program = folder / ("model.pdmodel" if kind == "pdmodel" else "model.json")
    if kind == "onnx":
        made = [each for each in made if each[0] != "converted"][:1] + [e for e in made if e[0] != "by hand"]
    if not made:
        print(f"{kind:7} {folder.name:15} left out: no file that onnxruntime runs", flush=True)
        return
    if kind == "onnx":
        program = folder / "reference.onnx"
        onnx.save(made[0][1], program)
        made = [*made, *rewritten(made[0][1], folder)]
    target = folder / f"candidate-{kind}.onnx"
    for who, model in made:
        onnx.save(model, target)
        yield who, None, program, target
    random = np.random.default_rng(given.seed + sum(map(ord, f"{folder.name}{kind}")))
    for who, model in made[:1] if kind == "onnx" or len(made) == 1 else (made[0], made[-1]):
        right = outputs(model, feed) or []
        found = list(faults(model))
        left = given.faults
        for place in random.permutation(len(found)):
            got = outputs(found[place].model, feed) if left else None
            if got is None or differs(right, got) < SEEN:
                continue
            left -= 1
            onnx.save(found[place].model, target)
            yield who, found[place], program, target


def main() -> None:
    """Run the sweep and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=("pir", "pdmodel", "onnx"))
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--paddle26", type=Path)
    parser.add_argument("--paddle2onnx110", type=Path)
    given = parser.parse_args()
    tally: Counter[tuple[str, str]] = Counter()
    for kind in [given.format] if given.format else ["pir", "pdmodel", "onnx"]:
        for folder in written("pir" if kind == "onnx" else kind, given):
            for who, fault, program, target in cases(folder, kind, given):
                start = time.perf_counter()
                verdict, said = judged(program, target, folder / "x.npy", fault)
                name, seconds = fault.name if fault else "healthy", time.perf_counter() - start
                row = f"{kind:8}{folder.name:16}{who:12}{name:18}{verdict:13}{seconds:5.1f} s  {said}"
                print(row, flush=True)
                tally["faults" if fault else "healthy", verdict] += 1
    print(", ".join(f"{what}: {count} {verdict}" for (what, verdict), count in sorted(tally.items())))


if __name__ == "__main__":
    main()

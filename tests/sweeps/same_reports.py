"""Do the reports say what they said before? ``python -m tests.sweeps.same_reports CHECKOUT [CHECKOUT]``.

The pairs are the tests' own networks, rewritten and with one planted fault each, the bundled example, and the
trained models of rapidocr where they are installed. Each checkout's segdiff reports on all of them, and what
differs is listed field by field; of times, memory and versions nothing is compared. With one checkout the
other side is ``before.json.xz``: the reports of the commit before the rooms were moved (``--store`` writes
them anew). Differences that were meant stand in ``INTENDED``, with the reason.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

import segdiff
from tests import models
from tests.faults import KINDS, NoEligibleNode, plant
from tests.models import IMAGE, Net, attention, image
from tests.sweeps.pairs import real

BEFORE = Path(__file__).parent / "before.json.xz"

SAME = 1e-6
"""Two numbers are the same within this share: the same machine gives them to the bit, another one nearly."""

NOISE = 1e-5
"""Errors below this are rounding; how large it is depends on the machine's instructions."""

UNCOMPARED = ("timing_s", "peak_memory_mb", "environment", "versions")

INTENDED: tuple[tuple[str, str, str], ...] = (
    (
        "segmenter-elementwise.operator",
        r"verdict|error.*",
        "a constant that is a scalar brought the families down: now the fault is found",
    ),
    (
        "rapidocr-cls",
        r"outputs\[0\]\.candidate",
        "an output is told by the name that the file gives it, not by that of the value it repeats",
    ),
)
"""Pairs, fields and the reason why these may differ from what stands in ``BEFORE``."""

RUNNER = """
import json, sys
import segdiff
for line in sys.stdin:
    name, *files = json.loads(line)
    try:
        report = segdiff.locate(*files, threads=1).to_dict()
    except Exception as error:
        report = {"verdict": "error", "error": {"type": type(error).__name__, "message": str(error)}}
    print(json.dumps([name, report]), flush=True)
"""
"""Runs in each checkout; it asks for nothing that is not promised. Either may fail on a pair."""


# --- the pairs

CORNER = "asymmetric"


def mixed() -> ModelProto:
    """What the segmenter of the tests lacks: the operators of heads, neck and preprocessing."""
    net = Net(IMAGE, seed=7)
    x = net.node("Pad", "x", net.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), net.constant(0.5))
    x = net.node("Conv", x, net.weight(8, 3, 3, 3), net.weight(8))
    x = net.node("InstanceNormalization", x, net.constant(np.ones(8) * 1.5), net.constant(np.ones(8) * 0.1))
    x = net.node("Clip", x, net.constant(-1.0), net.constant(1.25))
    up = net.node("DepthToSpace", net.conv(x, (8, 16)), blocksize=2, mode="CRD")
    up = net.node("Elu", up, alpha=0.7)
    low = net.node("AveragePool", up, kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Concat", low, net.node("LRN", x, size=3, alpha=0.5, beta=0.75, bias=1.0), axis=1)
    cubic = net.node("Resize", x, "", net.constant([1, 1, 0.5, 0.5]), mode="cubic", cubic_coeff_a=-0.75)
    near = net.resize(
        cubic, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
    )
    x = net.node("Sub", x, net.node("Pow", near, net.constant(2.0)))
    shifted = net.node("Slice", x, *(net.constant([n], np.int64) for n in (1, 11, 1)))
    picked = net.node("Gather", shifted, net.constant([0, 3, 2, 5, 4, 7], np.int64), axis=1)
    gate = net.node("Flatten", net.node("ReduceMax", picked, axes=[2, 3], keepdims=1))
    gate = net.node("Gemm", gate, net.weight(6, 6), net.weight(6), transB=1, alpha=0.5)
    gate = net.node("Unsqueeze", net.node("Tanh", gate), net.constant([2, 3], np.int64))
    x = net.node("Where", net.node("Greater", picked, gate), picked, net.node("Mul", picked, gate))
    x = net.node("CumSum", x, net.constant(3, np.int64))
    x = net.node("Add", x, attention(net, x, 6))
    left, right = net.fresh("half"), net.fresh("half")
    net.node("Split", x, net.constant([3, 3], np.int64), outputs=[left, right], axis=1)
    scores = net.conv(net.node("Div", left, net.node("Softplus", right)), (3, 4))
    mask = net.node("ArgMax", scores, axis=1, keepdims=0)
    return net.model(net.node("Softmax", scores, axis=1), mask, types={mask: onnx.TensorProto.INT64})


NETWORKS: Mapping[str, Callable[[], ModelProto]] = {
    "segmenter": models.segmenter,
    "mixed": mixed,
    "if": models.if_network,
}

REWRITES: Mapping[str, Callable[[ModelProto], ModelProto]] = {
    "itself": models.copied,
    "scrambled": models.scrambled,
    "folded": models.folded,
    "constants": models.constants_as_nodes,
}


def made(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Write all pairs: their names, and for each a reference, a candidate and what they are fed."""
    np.save(folder / "x.npy", image(IMAGE))
    for name, network in NETWORKS.items():
        reference = models.save(network(), folder / f"{name}.onnx")
        for how, candidate in candidates(network()):
            file = models.save(candidate, folder / f"{name}-{how}.onnx")
            yield f"{name}-{how}", str(reference), str(file), str(folder / "x.npy")
    example = folder / "example"
    shutil.copytree(Path(segdiff.__file__).parent / "example", example, dirs_exist_ok=True)
    for how in ("model", "healthy"):
        files = (example / "deploy", example / f"{how}.onnx", example / "street.png")
        yield f"example-{how}", *map(str, files)
    for pair in real():
        np.save(folder / f"{pair.name}.npy", pair.image)
        yield pair.name, str(pair.reference), str(pair.candidate), str(folder / f"{pair.name}.npy")


def candidates(model: ModelProto) -> Iterator[tuple[str, ModelProto]]:
    """Healthy and faulty candidates of a network, by what was done."""
    for how, rewrite in REWRITES.items():
        yield how, rewrite(model)
    for kind in sorted(KINDS):
        try:
            yield kind, plant(model, 1, kind)[0]
        except NoEligibleNode:
            continue


# --- the reports


def reports_of(checkout: Path, cases: list[tuple[str, ...]], folder: Path) -> dict[str, Any]:
    """What the segdiff of a checkout reports on all pairs."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input="".join(json.dumps(case) + "\n" for case in cases),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    places = {str(folder): "…", **{str(pair.reference.parents[1]): "…" for pair in real()}}
    places |= {str(pair.candidate.parent): "…" for pair in real()}
    return dict(json.loads(shortened(line, places)) for line in done.stdout.splitlines())


def shortened(text: str, places: Mapping[str, str]) -> str:
    """Without the folders of this run."""
    for place, word in places.items():
        text = text.replace(place, word)
    return text


def differences(before: Any, after: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """The fields that differ, and how; a list's length is one field, what has come anew is none."""
    if field in UNCOMPARED:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            yield from differences(before[key], after.get(key), f"{field}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{field}.length", f"{len(before)} -> {len(after)}"
        for place, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from differences(one, other, f"{field}[{place}]")
    elif not same(before, after):
        yield field, f"{before!r} -> {after!r}"


def same(before: Any, after: Any) -> bool:
    """Whether two values say the same."""
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (before, after))
    if not numbers:
        return bool(before == after)
    both_noise = all(isinstance(each, float) and abs(each) < NOISE for each in (before, after))
    return both_noise or math.isclose(before, after, rel_tol=SAME)


def is_meant(name: str, field: str) -> bool:
    """Whether a difference stands in the list of those that were meant."""
    return any(fnmatchcase(name, pair) and re.fullmatch(pattern, field) for pair, pattern, _ in INTENDED)


def main(argv: list[str] | None = None) -> int:
    """Compare; 1 where something differs that was not meant."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.same_reports", description=__doc__)
    parser.add_argument("checkouts", type=Path, nargs="+", metavar="CHECKOUT")
    parser.add_argument("--store", action="store_true", help="write the first one's reports down")
    parser.add_argument("--keep", type=Path, help="write each side's reports there, too")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = list(made(folder))
        sides = [reports_of(checkout.resolve(), cases, folder) for checkout in given.checkouts]
    if given.keep:
        given.keep.mkdir(exist_ok=True)
        for number, side in enumerate(sides):
            (given.keep / f"{number}.json").write_text(json.dumps(side, indent=1))
    if given.store:
        BEFORE.write_bytes(lzma.compress(json.dumps(sides[0]).encode()))
    if len(sides) == 1:
        sides.insert(0, json.loads(lzma.decompress(BEFORE.read_bytes())))
    return told(sides[0], sides[1])


def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Print what differs, by field; 1 where something does."""
    found = defaultdict(list)
    meant = 0
    for name in before:
        if name not in after:
            print(f"{name}: no report on this machine")
            continue
        for field, words in differences(before[name], after[name]):
            if is_meant(name, field):
                meant += 1
            else:
                found[re.sub(r"\[\d+\]", "[]", field)].append(f"{name} {field}: {words}")
    for field, each in found.items():
        print(f"{field}: {len(each)}")
        for line in each[:5]:
            print(f"    {line[:300]}")
    equal = sum(not list(differences(before[name], after[name])) for name in before if name in after)
    print(
        f"{len(before)} pairs, {equal} the same in every field, {meant} differences that were meant, "
        f"{sum(map(len, found.values()))} others"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

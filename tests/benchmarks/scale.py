"""What does an operator cost, in small networks and in large ones? ``python -m tests.benchmarks.scale``

    python -m tests.benchmarks.scale [--ops N ...] [--shape NAME ...] [--checkpoint] [--json FILE]

Chains and U-shaped networks of tiny tensors, so that nothing counts but the number of operators; the
candidate is the same network with all its names scrambled. Each run is a process of its own. The table has
the seconds of every phase, their sum against the wall time, and the milliseconds an operator took, by the
wall and of the processors (of all processes; a machine that others use changes those less): what is linear
keeps them where they are. ``--checkpoint`` measures chains of which every weight differs instead.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, numpy_helper
from rich.console import Console
from rich.table import Table

from tests.models import Net, copied, image, save, scrambled

SIZES = (800, 3200, 12800, 20000)
LAYERS = (150, 300, 1000)
SHAPE = (1, 4, 2, 2)


def chain(ops: int) -> ModelProto:
    """Convolutions and activations, one behind the other."""
    net, x = Net(SHAPE), "x"
    for _ in range(ops // 2):
        x = net.node("Relu", net.conv(x, (4, 4), kernel=1))
    return net.model(x)


def bare(ops: int) -> ModelProto:
    """Activations without a parameter, one behind the other: nothing but the place tells them apart."""
    net, x = Net(SHAPE), "x"
    for place in range(ops):
        x = net.node(("Sigmoid", "Tanh", "Softsign", "HardSwish")[place % 4], x)
    return net.model(x)


def u_shaped(ops: int) -> ModelProto:
    """An encoder whose every level is added to the decoder's."""
    net, x = Net(SHAPE), "x"
    levels = []
    for _ in range(ops // 5):
        x = net.node("Relu", net.conv(x, (4, 4), kernel=1))
        levels.append(x)
    for level in reversed(levels):
        x = net.node("Relu", net.conv(net.node("Add", x, level), (4, 4), kernel=1))
    return net.model(x)


SHAPES: dict[str, Callable[[int], ModelProto]] = {"chain": chain, "bare chain": bare, "U": u_shaped}


def reweighted(model: ModelProto) -> ModelProto:
    """The model of another training: every parameter has other numbers."""
    copy, random = copied(model), np.random.default_rng(1)
    for tensor in copy.graph.initializer:
        array = numpy_helper.to_array(tensor)
        other = random.standard_normal(array.shape).astype(array.dtype) * array.std()
        tensor.CopyFrom(numpy_helper.from_array(other, tensor.name))
    return copy


def located(folder: Path) -> dict[str, Any]:
    """One run in a process of its own: its phases, the wall time, the verdict."""
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--one", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(folder: Path) -> dict[str, Any]:
    """The run itself; what it imports does not count."""
    import segdiff

    locate = segdiff.locate
    start, before = time.perf_counter(), processor_seconds()
    report = locate(folder / "ours.onnx", folder / "theirs.onnx", image(SHAPE))
    wall = time.perf_counter() - start
    return {
        "ops": report.reference.ops,
        "wall": wall,
        "processor": processor_seconds() - before,
        "timing": dict(report.timing_s),
        "peak_mb": report.peak_memory_mb,
        "pairs": len(report.pairs),
        "origins": len(report.origins),
        "said": f"{report.verdict}: {report.sentence}",
    }


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def runs(shapes: list[str], sizes: list[int], checkpoint: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every network in turn."""
    for name in shapes:
        for size in sizes:
            ours = SHAPES[name](2 * size if checkpoint else size)
            theirs = scrambled(reweighted(ours) if checkpoint else ours, seed=1)
            with tempfile.TemporaryDirectory() as scratch:
                save(ours, Path(scratch) / "ours.onnx")
                save(theirs, Path(scratch) / "theirs.onnx")
                yield name, located(Path(scratch))


def table(results: list[tuple[str, dict[str, Any]]]) -> Table:
    """A row a network."""
    phases = list(dict.fromkeys(phase for _, found in results for phase in found["timing"]))
    grid = Table("network", *(phase for phase in phases))
    for title in ("sum", "wall", "processor", "ms an op", "of processor", "MB"):
        grid.add_column(title, justify="right")
    for name, found in results:
        timing = found["timing"]
        grid.add_row(
            f"{name}, {found['ops']} ops",
            *(f"{timing.get(phase, 0.0):.2f}" for phase in phases),
            f"{sum(timing.values()):.2f}",
            f"{found['wall']:.2f}",
            f"{found['processor']:.2f}",
            f"{1000 * found['wall'] / found['ops']:.2f}",
            f"{1000 * found['processor'] / found['ops']:.2f}",
            f"{found['peak_mb']:.0f}",
        )
    return grid


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ops", type=int, nargs="+", help="sizes; with --checkpoint, layers")
    parser.add_argument("--shape", nargs="+", choices=SHAPES, help="networks")
    parser.add_argument("--checkpoint", action="store_true", help="every weight differs")
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one)))
        return
    console = Console(width=200)
    results = []
    shapes = given.shape or (["chain"] if given.checkpoint else list(SHAPES))
    for name, found in runs(
        shapes, given.ops or list(LAYERS if given.checkpoint else SIZES), given.checkpoint
    ):
        results.append((name, found))
        console.print(f"{name}, {found['ops']} ops: {found['wall']:.1f} s, {found['said']}")
    console.print(table(results))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

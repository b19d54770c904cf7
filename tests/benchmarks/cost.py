"""What does a diagnosis cost? ``python -m tests.benchmarks.cost [--models DIR ...] [--runs N] [--fast]
[--json FILE]``

The contenders take turns, each in processes of its own; the medians over the turns are compared:

    segdiff            ``segdiff locate`` of a Paddle model and its conversion
    every leg          the same with both models run as deployed (``--deployed all``)
    walk               the same with neither (``--deployed none``)
    one origin         the same of a conversion with one fault planted in its middle
    plain              each model loaded and run once, nothing compared
    ONNX               ``segdiff locate`` of the conversion against a copy of itself
    Polygraphy         the same two files, every tensor marked as an output, compared by cosine

Time is compared with the two plain runs one after the other; memory with that of both at once, and with the
larger alone. Polygraphy takes minutes; ``--fast`` leaves it out. One turn of the plain runs comes first and
does not count: it fills the file cache. PSS divides a library's pages by all processes that use it, so
strangers who run Paddle meanwhile take some 100 MB off its peak. At the end stand the medians of the ratios
over all models, beside what is allowed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from segdiff.readers import find
from tests.benchmarks.measure import ContenderError, Cost, measure, python
from tests.zoo.layout import MODELS, root

DEFAULT_MODELS = tuple(
    f"{name}-512x1024-{kind}"
    for name in ("DeepLabV3P", "FCN-HRNet_W18", "BiSeNetV2", "SegFormer_B1", "PP-LiteSeg")
    for kind in ("pdmodel", "pir")
)
"""Folders of the zoo; the size is what makes memory and time matter. One that is not there is left out."""

HERE = Path(__file__).parent
SEGDIFF, PADDLE, ORT = "segdiff", "plain Paddle", "plain onnxruntime"
LEGS, WALK, ORIGIN = "segdiff, every leg", "segdiff, walk", "segdiff, one origin"
SEGDIFF_ONNX, POLYGRAPHY = "segdiff, ONNX", "Polygraphy"

LEFT_OUT = "left out"
"""Instead of a problem, of a contender that was not asked."""

EXCHANGED = {"Relu": "Softplus", "Sigmoid": "Tanh", "HardSwish": "Relu", "Erf": "Tanh"}
"""The fault of the one origin: an operator for another."""


@dataclass(frozen=True)
class Contender:
    """A command under a name; exit codes other than the fine ones are failures."""

    name: str
    command: list[str]
    fine: tuple[int, ...] = (0,)


@dataclass
class Result:
    """All turns of one contender; ``problem`` says why it was given up."""

    costs: list[Cost]
    problem: str | None = None

    def median(self, what: Callable[[Cost], float]) -> float | None:
        """Over the turns, None where a turn failed."""
        return median(map(what, self.costs)) if self.costs and not self.problem else None


def contenders(folder: Path, image: Path, scratch: Path) -> Iterator[Contender]:
    """The commands for one model, in the order of a turn."""
    files, candidate = find(folder), conversion(folder)
    copy = Path(shutil.copy(candidate, scratch / "copy.onnx"))
    locate = ("-m", "segdiff", "locate", "--no-progress")
    yield Contender(SEGDIFF, python(*locate, files.program, candidate, image), (0, 1))
    yield Contender(PADDLE, python(HERE / "run_paddle.py", files.program, files.params or "", image))
    yield Contender(ORT, python(HERE / "run_onnxruntime.py", candidate, image))
    yield Contender(LEGS, python(*locate, "--deployed", "all", files.program, candidate, image), (0, 1))
    yield Contender(WALK, python(*locate, "--deployed", "none", files.program, candidate, image), (0, 1))
    yield Contender(ORIGIN, python(*locate, files.program, faulty(candidate, scratch), image), (1,))
    yield Contender(SEGDIFF_ONNX, python(*locate, candidate, copy, image), (0, 1))
    yield Contender(POLYGRAPHY, python(HERE / "run_polygraphy.py", candidate, candidate, image), (0, 1))


def faulty(path: Path, scratch: Path) -> Path:
    """A copy of the file with one operator in its middle exchanged for another."""
    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type in EXCHANGED]
    if not nodes:
        raise ContenderError(f"{path}: no {' or '.join(EXCHANGED)} to exchange")
    node = nodes[len(nodes) // 2]
    node.op_type = EXCHANGED[node.op_type]
    onnx.save(model, scratch / "faulty.onnx")
    return scratch / "faulty.onnx"


def conversion(folder: Path) -> Path:
    """The ONNX file beside a Paddle model."""
    found = sorted(folder.glob("*.onnx"))
    if not found:
        raise ContenderError(f"{folder}: no .onnx file")
    return found[0].resolve()


def run_model(folder: Path, runs: int, fast: bool, say: Callable[[str], None]) -> dict[str, Result]:
    """All turns on one model."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "x.npy"
        with np.load(folder / "io.npz") as arrays:
            np.save(image, arrays["x"])
        everyone = list(contenders(folder.resolve(), image, Path(scratch)))
        results = {contender.name: Result([]) for contender in everyone}
        if fast:
            results[POLYGRAPHY].problem = LEFT_OUT
        for turn in range(runs + 1):
            for contender in everyone if turn else everyone[1:3]:
                result = results[contender.name]
                if result.problem:
                    continue
                try:
                    cost = measure(contender.command, contender.fine)
                except (ContenderError, OSError) as error:
                    result.problem = str(error)
                    say(f"{folder.name}, {contender.name}: {error}")
                    continue
                if turn:
                    result.costs.append(cost)
                say(
                    f"{folder.name}, turn {turn}, {contender.name}: {cost.wall:.1f} s, {cost.cpu:.1f} s of "
                    f"processor, {cost.peak:.0f} MB; load {os.getloadavg()[0]:.1f}"
                )
    return results


Combine = Callable[[Iterable[float]], float]


def combined(
    results: Mapping[str, Result], names: Iterable[str], what: Callable[[Cost], float], how: Combine
) -> float | None:
    """One number of several contenders, None where one of them failed."""
    values = [results[name].median(what) for name in names]
    return None if None in values else how(value for value in values if value is not None)


MEASURES: Mapping[str, tuple[Callable[[Cost], float], Combine]] = {
    "wall s": (lambda cost: cost.wall, sum),
    "processor s": (lambda cost: cost.cpu, sum),
    "peak MB, of both": (lambda cost: cost.peak, sum),
    "peak MB, of the larger": (lambda cost: cost.peak, max),
}
"""What is compared, and how the two plain runs make one number."""

BOTH = PADDLE, ORT
COMPARED = (
    *((ours, BOTH) for ours in (SEGDIFF, LEGS, WALK, ORIGIN)),
    (SEGDIFF_ONNX, (ORT, ORT)),
    (POLYGRAPHY, (SEGDIFF_ONNX,)),
)

ALLOWED: Mapping[tuple[str, str], float] = {
    (SEGDIFF, "wall s"): 1.3,
    (SEGDIFF, "peak MB, of both"): 1.0,
    (LEGS, "wall s"): 1.7,
    (ORIGIN, "wall s"): 1.8,
    (SEGDIFF_ONNX, "wall s"): 1.5,
}
"""How many times as much is allowed, as the median over the models."""


def table(everything: Mapping[str, dict[str, Result]]) -> Table:
    """Medians and ratios of all models."""
    grid = Table("model", "contender")
    for title in MEASURES:
        grid.add_column(title, justify="right")
    for model, results in everything.items():
        for name, result in results.items():
            cells = [number(result.median(what)) for what, _ in MEASURES.values()]
            problem = LEFT_OUT if result.problem == LEFT_OUT else f"failed: {result.problem}"
            grid.add_row(model, name, *(cells if not result.problem else [problem, "", "", ""]))
        for ours, others in COMPARED:
            cells = [ratio(ratio_of(results, ours, others, title)) for title in MEASURES]
            grid.add_row(model, f"{ours} : {label(others)}", *cells, style="bold")
        grid.add_section()
    for ours, others in COMPARED:
        cells = []
        for title in MEASURES:
            ratios = [ratio_of(results, ours, others, title) for results in everything.values()]
            known = [each for each in ratios if each is not None]
            allowed = ALLOWED.get((ours, title))
            cells.append(ratio(median(known) if known else None) + (f" of {allowed:.1f}" if allowed else ""))
        grid.add_row("all, the median", f"{ours} : {label(others)}", *cells, style="bold")
    return grid


def ratio_of(results: Mapping[str, Result], ours: str, others: tuple[str, ...], title: str) -> float | None:
    """How many times as much one contender takes as others together; None where one of them failed."""
    what, how = MEASURES[title]
    mine, together = results[ours].median(what), combined(results, others, what, how)
    return None if mine is None or not together else mine / together


def label(others: tuple[str, ...]) -> str:
    """What is compared with, in words."""
    return {BOTH: "both plain runs", (ORT, ORT): "two plain onnxruntime"}.get(others, others[0])


def number(value: float | None) -> str:
    """A median as text."""
    return "-" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """How many times as much, as text."""
    return "-" if value is None else f"{value:.2f} x"


def as_json(everything: Mapping[str, dict[str, Result]]) -> dict[str, Any]:
    """Every turn, with the parts of each process tree."""
    return {
        model: {
            name: {"problem": result.problem, "turns": [cost.to_dict() for cost in result.costs]}
            for name, result in results.items()
        }
        for model, results in everything.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cost", description=__doc__)
    parser.add_argument("--models", nargs="+", type=Path, metavar="DIR", help="folders, or names in the zoo")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="turns (3)")
    parser.add_argument("--fast", action="store_true", help="without Polygraphy")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every turn here")
    arguments = parser.parse_args()
    say = partial(Console(stderr=True).print, soft_wrap=True, highlight=False, markup=False)
    everything: dict[str, dict[str, Result]] = {}
    zoo = root() / MODELS
    for folder in arguments.models or [Path(name) for name in DEFAULT_MODELS if (zoo / name).is_dir()]:
        folder = folder if folder.is_dir() else zoo / folder
        try:
            everything[folder.name] = run_model(folder, arguments.runs, arguments.fast, say)
        except Exception as error:  # a model that is not there must not cost the others their numbers
            say(f"{folder}: {error}")
            continue
        if arguments.json:
            arguments.json.write_text(json.dumps(as_json(everything), indent=1))
    Console(width=130).print(table(everything))
    found = (result for results in everything.values() for result in results.values())
    return int(any(result.problem not in (None, LEFT_OUT) for result in found))


if __name__ == "__main__":
    raise SystemExit(main())

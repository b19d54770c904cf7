"""What does a diagnosis cost? ``python -m tests.benchmarks.cost [--models DIR ...] [--runs N] [--json FILE]``

Five contenders take turns, each in processes of its own; the medians over the turns are compared:

    segdiff            ``segdiff locate`` of a Paddle model and its conversion
    segdiff, walk      the same without the runs as deployed (``--no-deployed``)
    plain              each model loaded and run once, nothing compared: times added, the larger peak
    segdiff, ONNX      ``segdiff locate`` of the conversion against itself
    Polygraphy         the same two files, every tensor marked as an output, compared by cosine

One turn of the plain runs comes first and does not count: it fills the file cache. PSS divides a library's
pages by all processes that use it, so strangers who run Paddle meanwhile take some 100 MB off its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from segdiff.readers import find
from tests.benchmarks.measure import ContenderError, Cost, measure, python
from tests.zoo.layout import MODELS, root

DEFAULT_MODELS = (
    "DeepLabV3P-512x1024-pdmodel",
    "FCN-HRNet_W18-512x1024-pdmodel",
    "BiSeNetV2-512x1024-pdmodel",
    "DeepLabV3P-512x1024-pir",
)
"""Folders of the zoo; the size is what makes memory and time matter."""

HERE = Path(__file__).parent
SEGDIFF, PADDLE, ORT = "segdiff", "plain Paddle", "plain onnxruntime"
WALK = "segdiff, walk"
SEGDIFF_ONNX, POLYGRAPHY = "segdiff, ONNX", "Polygraphy"


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


def contenders(folder: Path, image: Path) -> Iterator[Contender]:
    """The commands for one model, in the order of a turn."""
    files, onnx = find(folder), conversion(folder)
    locate = ("-m", "segdiff", "locate", "--no-progress")
    yield Contender(SEGDIFF, python(*locate, files.program, onnx, image), (0, 1))
    yield Contender(PADDLE, python(HERE / "run_paddle.py", files.program, files.params or "", image))
    yield Contender(ORT, python(HERE / "run_onnxruntime.py", onnx, image))
    yield Contender(WALK, python(*locate, "--no-deployed", files.program, onnx, image), (0, 1))
    yield Contender(SEGDIFF_ONNX, python(*locate, onnx, onnx, image), (0, 1))
    yield Contender(POLYGRAPHY, python(HERE / "run_polygraphy.py", onnx, onnx, image), (0, 1))


def conversion(folder: Path) -> Path:
    """The ONNX file beside a Paddle model."""
    found = sorted(folder.glob("*.onnx"))
    if not found:
        raise ContenderError(f"{folder}: no .onnx file")
    return found[0].resolve()


def run_model(folder: Path, runs: int, say: Callable[[str], None]) -> dict[str, Result]:
    """All turns on one model."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "x.npy"
        with np.load(folder / "io.npz") as arrays:
            np.save(image, arrays["x"])
        everyone = list(contenders(folder.resolve(), image))
        results = {contender.name: Result([]) for contender in everyone}
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
    "peak MB": (lambda cost: cost.peak, max),
    "largest process MB": (lambda cost: cost.largest, max),
}
"""What is compared, and how the two plain runs make one number."""

COMPARED = ((SEGDIFF, (PADDLE, ORT)), (WALK, (PADDLE, ORT)), (SEGDIFF_ONNX, (POLYGRAPHY,)))


def table(everything: Mapping[str, dict[str, Result]]) -> Table:
    """Medians and ratios of all models."""
    grid = Table("model", "contender")
    for title in MEASURES:
        grid.add_column(title, justify="right")
    for model, results in everything.items():
        for name, result in results.items():
            cells = [number(result.median(what)) for what, _ in MEASURES.values()]
            grid.add_row(
                model, name, *(cells if not result.problem else [f"failed: {result.problem}", "", "", ""])
            )
        for ours, others in COMPARED:
            cells = [
                ratio(results[ours].median(what), combined(results, others, what, how))
                for what, how in MEASURES.values()
            ]
            label = "both plain runs" if len(others) > 1 else others[0]
            grid.add_row(model, f"{ours} : {label}", *cells, style="bold")
        grid.add_section()
    return grid


def number(value: float | None) -> str:
    """A median as text."""
    return "-" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def ratio(ours: float | None, other: float | None) -> str:
    """How many times as much."""
    return "-" if ours is None or not other else f"{ours / other:.2f} x"


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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every turn here")
    arguments = parser.parse_args()
    say = partial(Console(stderr=True).print, soft_wrap=True, highlight=False, markup=False)
    everything: dict[str, dict[str, Result]] = {}
    for folder in arguments.models or map(Path, DEFAULT_MODELS):
        folder = folder if folder.is_dir() else root() / MODELS / folder
        try:
            everything[folder.name] = run_model(folder, arguments.runs, say)
        except Exception as error:  # a model that is not there must not cost the others their numbers
            say(f"{folder}: {error}")
            continue
        if arguments.json:
            arguments.json.write_text(json.dumps(as_json(everything), indent=1))
    Console(width=130).print(table(everything))
    return int(any(result.problem for results in everything.values() for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())

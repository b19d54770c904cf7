"""Does a model larger than protobuf, a picture larger than the budget, stay within what ``memory=`` promises?

    python -m tests.benchmarks.big [--case heavy|wide ...] [--memory 256 1024] [--gigabytes 3] [--json FILE]

``heavy`` is a chain of convolutions with 3 GB of weights, in Paddle's form and as an ONNX file with external
data; ``wide`` one of few weights on a picture of 4096x4096, each of whose activations is as large as the
smaller budget. Each is run plainly (Paddle alone, onnxruntime alone), then by ``segdiff locate`` with each
``--memory``. What is promised: no more than both plain runs together and the budget. The table has the share
of that which was taken, at the worst moment of the whole tree of processes (PSS); over 1.2 is a failure, and
so is any verdict but the expected one. A run that would take more than ``--most`` GB is stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.big_models import Shape, heavy, picture, wide, write_onnx, write_paddle
from tests.benchmarks.measure import ContenderError, Cost, measure, python

HERE = Path(__file__).parent

WITHIN = 1.2
"""Times the promise that a run may take."""


@dataclass(frozen=True)
class Row:
    """One run: MB promised (None of a plain one), what it took, whether the answer was the expected one."""

    case: str
    name: str
    cost: Cost
    promised: float | None = None
    problem: str | None = None

    @property
    def share(self) -> float | None:
        """Of the promise."""
        return self.cost.peak / self.promised if self.promised else None


def shape_of(case: str, gigabytes: float, size: int) -> Shape:
    """What a case is made of."""
    return heavy(gigabytes) if case == "heavy" else wide(size)


def rows(case: str, shape: Shape, budgets: list[int], most: float, folder: Path) -> Iterator[Row]:
    """All runs of one case, the plain ones first; the last one's candidate has one wrong weight."""
    program, model, image = write_paddle(shape, folder), write_onnx(shape, folder), folder / "x.npy"
    np.save(image, picture(shape))
    plain = {
        "plain Paddle": python(HERE / "run_paddle.py", program, program.with_suffix(".pdiparams"), image),
        "plain onnxruntime": python(HERE / "run_onnxruntime.py", model, image),
    }
    both = 0.0
    for name, command in plain.items():
        cost = measure(command, most=most)
        both += cost.peak
        yield Row(case, name, cost)
    for budget in budgets:
        yield located(case, (program, model, image), budget, both, most, 0)
    write_onnx(shape, folder, spoilt=(1,))
    yield located(case, (program, model, image), budgets[-1], both, most, 1)


def located(
    case: str, files: tuple[Path, Path, Path], budget: int, both: float, most: float, code: int
) -> Row:
    """``segdiff locate`` within a budget (MB), where this exit code is the right answer."""
    words = ("-m", "segdiff", "locate", "--no-progress", "--memory", f"{budget}M")
    cost, problem = Cost(), None
    try:
        cost = measure(python(*words, *files), (code,), most=most)
    except ContenderError as error:
        problem = str(error)
    spoilt = ", one wrong weight" if code else ""
    return Row(case, f"segdiff, {budget} MB{spoilt}", cost, both + budget, problem)


def main() -> int:
    """Run the cases, print the table; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", default=["heavy", "wide"], choices=["heavy", "wide"])
    parser.add_argument("--memory", nargs="+", type=int, default=[256, 1024], metavar="MB")
    parser.add_argument("--gigabytes", type=float, default=3.0, help="of weights")
    parser.add_argument("--size", type=int, default=4096, help="pixels a side of the wide case")
    parser.add_argument("--most", type=float, default=9.0, metavar="GB", help="stop what takes more")
    parser.add_argument("--folder", help="where the files are made, and removed (the system's)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    found: list[Row] = []
    for case in options.case:
        with tempfile.TemporaryDirectory(prefix="segdiff-big-", dir=options.folder) as folder:
            shape = shape_of(case, options.gigabytes, options.size)
            for row in rows(case, shape, options.memory, options.most * 1000, Path(folder)):
                found.append(row)
                told = "" if row.share is None else f", {row.share:.2f} of the promise"
                words = row.problem or f"{row.cost.wall:.0f} s, {row.cost.peak:.0f} MB{told}"
                print(f"{case}, {row.name}: {words}", file=sys.stderr, flush=True)
    Console(width=120).print(table(found))
    if options.json:
        kept = [{**vars(row), "cost": row.cost.to_dict(), "share": row.share} for row in found]
        Path(options.json).write_text(json.dumps(kept, indent=1))
    return int(any(row.problem or (row.share or 0) > WITHIN for row in found))


def table(found: list[Row]) -> Table:
    """Every run, what it took, and the share of the promise."""
    grid = Table("case", "run", "wall s", "peak MB", "promised MB", "share")
    for row in found:
        if row.problem:
            grid.add_row(row.case, row.name, f"failed: {row.problem}", "", "", "")
            continue
        promised = "" if row.promised is None else f"{row.promised:.0f}"
        share = "" if row.share is None else f"{row.share:.2f}"
        grid.add_row(row.case, row.name, f"{row.cost.wall:.0f}", f"{row.cost.peak:.0f}", promised, share)
    return grid


if __name__ == "__main__":
    sys.exit(main())

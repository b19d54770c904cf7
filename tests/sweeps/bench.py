"""How are many candidates diagnosed against one reference? ``segdiff.locate`` with engines that stay alive.

Importing the frameworks takes longer than walking a small model. So both workers live as long as the bench:
the reference's keeps its model, the candidate's is handed one file after the other (it is started anew when
a file has brought it down). Everything else is what ``locate`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from segdiff.align.view import view_of
from segdiff.core.answer import Report
from segdiff.core.metrics import compare_arrays
from segdiff.core.thresholds import Thresholds
from segdiff.engines import Blocks, Engine
from segdiff.engines.protocol import Load
from segdiff.engines.revived import Candidate, Reference
from segdiff.engines.session import Clock, Engines, default_memory, input_specs
from segdiff.finding.inside import Limits
from segdiff.finding.one_image import Terms, compared
from segdiff.finding.side_by_side import Sides, aligned, once_ready
from segdiff.inputs import prepare
from segdiff.readers import ModelFiles, find, read
from tests.sweeps.pairs import Pair

TIMEOUT = 120.0

SAME = 1e-3
"""Relative error below which two tensors of a whole run count as one: above what rounding grows to in most
models, below what a fused bias changes."""


class Bench:
    """One reference and its input, ready for any number of candidates. Use as a context manager."""

    def __init__(self, pair: Pair, *, full_walk: bool = False) -> None:
        self.pair, self.full_walk = pair, full_walk
        self.files = find(pair.reference)
        self.graph = read(self.files)
        self.blocks = Blocks()
        self.allowance = default_memory() // 8
        self.reference = self._start(self.files)
        self.candidate: Engine | None = None
        self.current: ModelFiles | None = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reference.close()
        if self.candidate is not None:
            self.candidate.close()

    def take(self, pair: Pair) -> None:
        """Another reference, handed to the living worker."""
        self.pair, self.files = pair, find(pair.reference)
        self.graph = read(self.files)
        if self.reference.process.poll() is None:
            self._reload(self.reference, self.files)

    def diagnose(self, file: Path) -> Report:
        """What ``locate`` says of this candidate, neither model run as deployed. Raises what it raises."""
        engines = self._engines(find(file))
        files = self.files, engines.candidate.engine.files
        sides = Sides(files, engines, (self.graph, read(files[1])), None, one_python=True)
        prepared = prepare(self.pair.image, input_specs(sides.graphs), None)
        once_ready(sides)
        limits = Limits(default_memory(), TIMEOUT, 1)
        terms = Terms(Thresholds(), limits, "none", full_walk=self.full_walk)
        try:
            report, _ = compared(sides, aligned(sides), prepared, None, terms, Clock(), untold)
        finally:
            self.candidate = engines.candidate.engine  # another one where it had to be started again
        return report

    def shared_names(self, file: Path) -> tuple[dict[str, str], dict[str, str]]:
        """The names that both sides have, reference -> candidate: those of equal tensors, and the others."""
        engines = self._engines(find(file))
        graphs = self.graph, read(engines.candidate.engine.files)
        ours = set(view_of(graphs[0]).values) - engines.hidden(graphs[0])
        names = {c.removeprefix("p2o."): c for c in view_of(graphs[1]).values}
        names = {r: c for r, c in names.items() if r in ours and r not in graphs[0].inputs}
        feeds = [{graph.inputs[0]: self.blocks.tensor(self.pair.image)} for graph in graphs]
        theirs = {n: t.array.copy() for n, t in engines.candidate.engine.stream(feeds[1], names.values())}
        same, other = {}, {}
        for r, tensor in self.reference.stream(feeds[0], names):
            metrics = compare_arrays(tensor.array, theirs[names[r]]).metrics
            (same if metrics.rel_l2 <= SAME else other)[r] = names[r]
        return same, other

    def sources(self, file: Path) -> tuple[Callable[[str], str], Callable[[str], str]]:
        """For both sides: a value's name -> the name of the value that it repeats."""
        return view_of(self.graph).source, view_of(read(find(file))).source

    def _start(self, files: ModelFiles) -> Engine:
        return Engine(files, self.blocks, timeout=TIMEOUT, threads=1, allowance=self.allowance)

    def _engines(self, files: ModelFiles) -> Engines:
        if self.reference.process.poll() is not None:
            self.reference.close()
            self.reference = self._start(self.files)
        engine = self.candidate
        if engine is None or engine.process.poll() is not None:
            if engine is not None:
                engine.close()
            engine = self._start(files)
        else:
            self._reload(engine, files)
        self.candidate = engine
        engine.wait_until_ready()  # now: what nobody waits for would be taken for the next file's answer
        reference = Reference(lambda: self._start(self.files), self.reference)
        return Engines(self.blocks, reference, Candidate(lambda: self._start(files), engine))

    def _reload(self, engine: Engine, files: ModelFiles) -> None:
        """Hand a living worker another model."""
        engine.files, engine.loaded, engine.last_value = files, None, None
        engine._send(Load(engine.row.home.framework, files, self.allowance, 1))


def untold(phase: str, done: int, total: int) -> None:
    """A progress that nobody sees."""


def short(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"

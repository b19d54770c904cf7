"""What does a run need before it can begin? Both models in their engines, their inputs, a clock."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from segdiff.core.environment import Computed, Environment
from segdiff.core.errors import InputError
from segdiff.core.graph import Graph, Shape
from segdiff.core.quantised import Quantisation
from segdiff.core.version import VERSION
from segdiff.engines import Blocks, Engine, Tensor
from segdiff.engines.cache import Cache
from segdiff.engines.cached import keeping, reference_of
from segdiff.engines.dumped import DumpedReference
from segdiff.engines.registry import engine_for, threads_beside, threads_of
from segdiff.engines.revived import Candidate, Reference
from segdiff.inputs import InputSpec, Prepared, config_beside
from segdiff.readers import ModelFiles
from segdiff.readers.dtypes import numpy_dtype

SHARE_OF_MEMORY = 32
"""The default budget is the machine's memory divided by this (768 MB of 24 GB)."""


@dataclass
class Engines:
    """Both models in their worker processes."""

    blocks: Blocks
    reference: Reference
    candidate: Candidate
    another: Callable[[], Candidate] | None = None
    other: Candidate | None = None

    def beside(self, graph: Graph) -> Candidate | None:
        """Another engine of the reference, which runs its segments while the first one streams; the same for
        every image. None where there is no starting one."""
        if self.other is None and self.another is not None:
            self.other = self.another()
            self.other.quantised = self.other.engine.quantised = quantised_values(graph)
        return self.other

    @property
    def restarted(self) -> tuple[str, ...]:
        """What has brought an engine down that another one has taken the place of."""
        return (*self.reference.restarted, *self.candidate.restarted)

    def show_numbers(self, graphs: tuple[Graph, Graph]) -> None:
        """From now on quantised values come and go as the numbers that they stand for."""
        self.reference.quantised, self.candidate.quantised = map(quantised_values, graphs)
        for side in (self.reference, self.candidate):
            side.engine.quantised = side.quantised

    def get_ready_to_cut(self) -> None:
        """Tell both engines that parts of their models will be asked for, while neither runs."""
        for side in (self.reference, self.candidate):
            if isinstance(side.engine, Engine) and side.engine.row.cuts:
                side.engine.prepare(None)

    def wait_until_ready(self) -> None:
        """Wait for both models to be loaded."""
        self.reference.engine.wait_until_ready()
        self.candidate.engine.wait_until_ready()

    def environment(self) -> Environment:
        """What computes both sides, once both are ready."""
        found = [
            Computed(engine.name, engine.loaded.python, dict(engine.loaded.versions))
            for engine in (self.reference.engine, self.candidate.engine)
            if engine.loaded
        ]
        return Environment(VERSION, platform.python_version(), platform.platform(), *found)

    def hidden(self, graph: Graph) -> frozenset[str]:
        """Reference values that its engine cannot show."""
        hidden = engine_for(graph.format).hidden(graph)
        return (
            hidden | self.reference.hidden(graph) if isinstance(self.reference, DumpedReference) else hidden
        )

    def feeds(
        self, graphs: tuple[Graph, Graph], pairs: Mapping[str, str], prepared: Prepared
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The prepared tensors, under each side's input names; ``pairs`` are the reference's to the
        candidate's. Raises InputError where one has no partner."""
        ours = {name: self.blocks.tensor(prepared.tensors[name]) for name in graphs[0].inputs}
        partner = {c: r for r, c in pairs.items()}
        missing = [name for name in graphs[1].inputs if name not in partner]
        if missing:
            raise InputError(
                f"{graphs[1].path}: input {missing[0]!r} has no counterpart in {graphs[0].path}; "
                f"its inputs are {', '.join(graphs[0].inputs) or 'none'}"
            )
        return ours, {name: self._typed(ours[partner[name]], graphs[1], name) for name in graphs[1].inputs}

    def _typed(self, tensor: Tensor, graph: Graph, name: str) -> Tensor:
        """A float tensor in the width that an input of a model has: half, where the file was made so."""
        declared = numpy_dtype(graph.value(name).dtype or tensor.array.dtype.name)
        if declared == tensor.array.dtype or {declared.kind, tensor.array.dtype.kind} != {"f"}:
            return tensor
        return self.blocks.tensor(tensor.array.astype(declared))


def quantised_values(graph: Graph) -> dict[str, Quantisation]:
    """How the values of a graph are quantised that are kept as integers."""
    return {name: how for name, how in graph.quantised.items() if name not in graph.parameters}


@contextmanager
def started(
    files: tuple[ModelFiles, ModelFiles],
    memory: int | None,
    timeout: float,
    threads: int | None,
    pythons: tuple[str | None, str | None] = (None, None),
    dumped: Path | None = None,
    cache: Cache | None = None,
) -> Iterator[Engines]:
    """Both engines, starting while the caller reads the files; stopped at the end, whatever happens.

    ``pythons`` are the interpreters to run them with, None for the one that the engine's row names. With
    ``dumped`` the reference does not run: its values come from that dump, once it is opened; with ``cache``
    it runs for what that does not hold.
    """
    memory = memory or default_memory()
    ahead = memory // 8  # the rest is for what must stay alive
    blocks = Blocks() if cache is None else Blocks(warm=ahead)  # a cache is read into them
    further = memory * 3 // 8, 0  # where little is alive the reference may run further ahead
    rows = [engine_for(each.format) for each in files]
    # What is the same on both sides is not cut out to run: whether anything is not will be seen. Another
    # Python may lack what cuts: that is told at once.
    cuts = dumped is not None or rows[0] is not rows[1] or pythons != (None, None)
    # One runtime rounds otherwise with fewer threads: on both sides it has as many.
    of_segments = threads_of if rows[0] is rows[1] else threads_beside

    def start(side: int) -> Engine:
        return Engine(
            files[side],
            blocks,
            timeout=timeout,
            threads=threads_of(rows[side], threads),
            beside=of_segments(rows[side], threads),
            allowance=ahead,
            room=further[side],
            cuts=cuts,
            python=pythons[side],
        )

    with ExitStack() as stack:
        stack.callback(blocks.close)
        reference = (
            DumpedReference(dumped, blocks, files[0])
            if dumped
            else reference_of(
                lambda: start(0),
                files[0],
                blocks,
                keeping(cache, files[0], pythons[0], threads),
            )
        )
        stack.callback(lambda: reference.engine.close())
        candidate = Candidate(lambda: start(1), start(1))
        stack.callback(lambda: candidate.engine.close())

        def another() -> Candidate:
            found = Candidate(lambda: start(0), start(0))
            stack.callback(lambda: found.engine.close())
            return found

        yield Engines(blocks, reference, candidate, None if dumped else another)


def default_memory() -> int:
    """Bytes of tensors that may wait, where the user says nothing."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE_OF_MEMORY


def input_specs(graphs: tuple[Graph, Graph]) -> tuple[InputSpec, ...]:
    """What the reference wants to be fed; where it leaves a length open, the candidate's counts, but for the
    number of pictures: that is the user's, and a candidate that does not take it is told."""
    theirs = dict(zip(graphs[0].inputs, graphs[1].inputs, strict=False))
    specs = []
    for name in graphs[0].inputs:
        ours = graphs[0].value(name)
        other = graphs[1].value(name if name in graphs[1].inputs else theirs.get(name, name))
        specs.append(InputSpec(name, narrowed(ours.shape, other.shape), ours.dtype or "float32"))
    return tuple(specs)


def own_specs(graph: Graph) -> tuple[InputSpec, ...]:
    """What one model wants to be fed, whatever the other does."""
    values = [graph.value(name) for name in graph.inputs]
    return tuple(InputSpec(value.name, value.shape, value.dtype or "float32") for value in values)


def narrowed(ours: Shape | None, theirs: Shape | None) -> Shape | None:
    """A shape with its open lengths filled from another of the same rank."""
    if ours is None or theirs is None or len(ours) != len(theirs):
        return ours or theirs
    sides = zip(ours, theirs, strict=True)
    return tuple(b if a is None and axis else a for axis, (a, b) in enumerate(sides))


def deploy_config(files: tuple[ModelFiles, ModelFiles]) -> Any:
    """The config beside either model, the reference's first."""
    return config_beside([each.deploy_yaml for each in files])


class Clock:
    """Seconds by phase; where the ``phases`` that will come are known, each is announced as it begins."""

    def __init__(self, announce: Callable[[str], None] | None = None, phases: Sequence[str] = ()) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()
        self._announce, self._next = announce, dict(pairwise(phases))
        if announce and phases:
            announce(phases[0])

    def lap(self, phase: str) -> None:
        """Close a phase."""
        now = time.perf_counter()
        self.laps[phase] = round(now - self.last, 3)
        self.last = now
        if self._announce and phase in self._next:
            self._announce(self._next[phase])

"""What does a changed file cost in half precision, and is it the same in float32? Run on the same images.

The float32 outputs of the original file are computed once and kept on disk, image by image; everything that
is tried is compared with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from segdiff.core.captures import all_graphs
from segdiff.core.errors import EngineError, InputError
from segdiff.core.graph import Array, Graph
from segdiff.core.half import Cost
from segdiff.core.precision import EPSILON, disturbed
from segdiff.engines import Tensor
from segdiff.half.bench import Runner, compared, running
from segdiff.half.cost import Tally, differences
from segdiff.half.examples import Examples
from segdiff.half.measure import Measured, score
from segdiff.half.read import File
from segdiff.half.simulate import simulated, width_of
from segdiff.half.store import OnDisk
from segdiff.half.targets import How
from segdiff.readers.onnx import load_light

IMAGES = 16
"""Images that a remedy is tried on, at most."""

FACTOR = 24.0
"""A rewrite may move the outputs by this many times what the last bit of the input does, or by so many
roundings: the limits of docs/thresholds.md."""


@dataclass(frozen=True)
class Kept:
    """A tensor on disk, read when it is asked for."""

    file: Path

    @property
    def array(self) -> Array:
        """Its numbers."""
        return np.asarray(np.load(self.file))


@dataclass
class Trials:
    """What is tried on one file and its images; ``folder`` is for what is written on the way."""

    source: Path
    graph: Graph
    how: How
    examples: Examples
    threshold: float
    ignore_index: int | None
    timeout: float
    threads: int | None
    folder: Path
    problems: list[str] = field(default_factory=list)
    runs: int = 0
    drafts: int = 0

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """What is compared: the outputs, and the numbers behind an argmax."""
        return compared(File(load_light(self.source), self.source))

    @cached_property
    def plain(self) -> Mapping[int, dict[str, Kept]]:
        """The float32 outputs of the original, by the image's place; images that cannot be used are left out.

        Raises EngineError where the file does not run.
        """
        found: dict[int, dict[str, Kept]] = {}
        moved = Tally()
        with self.started(self.source, None, frozenset()) as runner:
            for place, tensors in self.images():
                given = self.run(runner, tensors)
                found[place] = {name: self._keep(place, name, each.array) for name, each in given.items()}
                if len(found) == 1:
                    moved.add(differences(given, self.run(runner, _disturbed(tensors)), self.threshold))
        if not found:
            raise EngineError(f"{self.source}: no image could be used")
        self.rounding = max(EPSILON, moved.cost().rel_l2)
        return found

    rounding: float = EPSILON
    """What the last bit of the input changes in the outputs, ``rel_l2``; known once ``plain`` is."""

    def images(self) -> Iterator[tuple[int, Mapping[str, Array]]]:
        """What the model is fed, image by image; one that cannot be used is left out."""
        for place in range(min(IMAGES, len(self.examples))):
            try:
                yield place, self.examples.load(place).tensors
            except InputError:
                continue

    def run(self, runner: Runner, tensors: Mapping[str, Array]) -> dict[str, Tensor]:
        """The outputs of a run."""
        self.runs += 1
        return runner.run(tensors, self.outputs)

    def _keep(self, place: int, name: str, array: Array) -> Kept:
        file = self.folder / f"plain.{place}.{self.outputs.index(name)}.npy"
        np.save(file, array)
        return Kept(file)

    def cost(self, program: Path, keep: frozenset[str] = frozenset()) -> Cost:
        """What a file costs in half precision, some nodes kept in float32. Raises EngineError."""
        return self._against_plain(program, self.how, keep)

    def moved(self, program: Path) -> Cost:
        """What a file gives in float32 against the original. Raises EngineError."""
        return self._against_plain(program, None, frozenset())

    def is_same(self, program: Path) -> bool:
        """Whether a file gives the same as the original but for the rounding of float32."""
        cost = self.moved(program)
        return np.isfinite(cost.max_abs) and cost.rel_l2 <= FACTOR * max(EPSILON, self.rounding)

    def _against_plain(self, program: Path, how: How | None, keep: frozenset[str]) -> Cost:
        plain = self.plain
        found = Measured()
        with self.started(program, how, keep) as runner:
            for place, tensors in self.images():
                if place not in plain:
                    continue
                given = self.run(runner, tensors)
                ours: Mapping[str, Any] = plain[place]
                found.tally.add(differences(ours, given, self.threshold))
                example = self.examples.load(place)
                if example.label is not None:
                    score(found, self.graph, example, ours, given, self.ignore_index)
        return found.tally.cost(found.points)

    @contextmanager
    def started(self, program: Path, how: How | None, keep: frozenset[str]) -> Iterator[Runner]:
        """A process that runs a file, in half precision where it is said how."""
        with TemporaryDirectory(dir=self.folder) as folder:
            into = Path(folder) / "model.onnx"
            write_runnable(program, how, keep, self.outputs, into)
            own = self.source if self.folder in program.parents else program
            with running(into, timeout=self.timeout, threads=self.threads, own=own) as runner:
                yield runner

    def draft(self) -> Path:
        """A place for a changed file, in a folder of its own."""
        self.drafts += 1
        return self.folder / f"draft{self.drafts}" / "model.onnx"


def _disturbed(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """What is fed, with the last bit of every number disturbed."""
    return {name: disturbed(array, 0) for name, array in tensors.items()}


def write_runnable(
    program: Path, how: How | None, keep: frozenset[str], outputs: tuple[str, ...], into: Path
) -> None:
    """Write a file that gives out what is compared, in half precision where it is said how."""
    model = load_light(program)
    store = OnDisk(into.with_name(f"{into.name}.data"))
    try:
        file = File(model, program)
        widths = {name: width_of(file, name) for name in outputs if name in file.floats}
        only = None if how else frozenset[str]()
        made = simulated(model, how or How(), keep=keep, only=only, path=program, store=store)
        known = {item.name for item in made.graph.output}
        for name in outputs:
            if name not in known:
                made.graph.output.append(onnx.helper.make_tensor_value_info(name, widths[name], None))
        fetch_all(made, store, program)
    finally:
        store.close()
    into.write_bytes(made.SerializeToString())


def fetch_all(model: onnx.ModelProto, store: OnDisk, program: Path) -> None:
    """Bring every tensor that was left in a file beside the model."""
    for graph in all_graphs(model.graph):
        for tensor in graph.initializer:
            store.fetch(tensor, program)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    store.fetch(attribute.t, program)

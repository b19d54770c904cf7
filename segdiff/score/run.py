"""How do both models see a whole data set? Each in its engine, image after image, the same tensor for both.

Preprocessing of the next image goes on beside, in a thread. A model runs as its user runs it, optimised and
with nothing exposed; where a framework cannot do that, as written. One whose engine died is started anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import EngineError, InputError, SegdiffError
from segdiff.core.graph import Graph
from segdiff.engines import Blocks, Deployed, Engine, Tensor
from segdiff.engines.registry import engine_for
from segdiff.inputs import DeployConfig, InputComparison, InputSpec, compare_inputs, prepare
from segdiff.inputs.fed import Reader
from segdiff.inputs.image import one_line
from segdiff.inputs.suites import plan
from segdiff.inputs.tensors import check_tensor
from segdiff.score.check import check_size
from segdiff.score.dataset import Entry
from segdiff.score.encoding import Encoding, decode
from segdiff.score.files import Values, read_raw
from segdiff.score.output import Undo, way_back, way_back_of_steps

Array = NDArray[Any]

Way = Deployed | None
"""How to run a model; None is as written, nothing optimised."""

FAILURES_IN_A_ROW = 3
"""Images in a row on which an engine may fail before the run is given up: then the model is broken."""


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """One image before it enters the models: tensors by the reference's input names, label, and way back.

    ``own`` is what the candidate is really fed where that is another tensor; ``assumed`` what was taken for
    granted of the reference's.
    """

    entry: Entry
    tensors: Mapping[str, Array]
    own: Array | None
    image: NDArray[np.uint8]
    label: Values | None
    undo: tuple[Undo, ...]
    how: tuple[str, ...]
    assumed: str | None = None


@dataclass
class Loader:
    """From an entry of the data set to tensors and a label; ``fed`` is the candidate's own input."""

    specs: tuple[InputSpec, ...]
    config: DeployConfig | None
    label_kind: Encoding = "index"
    fed: Reader | None = None
    candidate_spec: InputSpec | None = None
    _way_back: Callable[..., tuple[Undo, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._way_back = lru_cache(maxsize=1024)(self._find_way_back)

    def load(self, entry: Entry) -> LoadedImage:
        """Read and prepare one image. Raises InputError where it or its label cannot be used."""
        if entry.problem:
            raise InputError(entry.problem)
        prepared = prepare(entry.image, self.specs, self.config)
        if prepared.image is None:
            raise InputError(f"{entry.image} holds a tensor, not a picture")
        size = prepared.image.shape[:2]
        fed = next((t.shape[2:] for t in prepared.tensors.values() if t.ndim == 4), size)
        return LoadedImage(
            entry=entry,
            tensors=prepared.tensors,
            own=self._own(entry),
            image=prepared.image,
            label=self._label(entry, size) if entry.label else None,
            undo=self._way_back(size, fed),
            how=prepared.how,
            assumed=prepared.assumed,
        )

    def judge(self, entry: Entry) -> InputComparison | None:
        """What the candidate's own preprocessing does otherwise, by one image; None where it has none."""
        if self.fed is None:
            return None
        prepared = prepare(entry.image, self.specs, self.config)
        return compare_inputs(prepared, self.fed(str(entry.image)).tensor, self.config)

    def _label(self, entry: Entry, size: tuple[int, ...]) -> Values:
        what = f"The label {entry.label}"
        assert entry.label is not None
        label = decode(read_raw(entry.label), self.label_kind, what)
        check_size(label, size, what)
        return label

    def _own(self, entry: Entry) -> Array | None:
        if self.fed is None or self.candidate_spec is None:
            return None
        tensor = self.fed(str(entry.image)).tensor
        return check_tensor(tensor, self.candidate_spec, "The candidate input")[0]

    def _find_way_back(self, size: tuple[int, int], fed: tuple[int, int]) -> tuple[Undo, ...]:
        if self.config is not None and self.config.is_planned:
            return way_back_of_steps(size, plan(self.config, size).steps, str(self.config.path), fed)
        if self.config is None or self.config.transforms is None:
            return () if size == fed else (Undo("resize", size),)
        return way_back(size, self.config.transforms, str(self.config.path), fed)


def loaded(
    loader: Loader, entries: Sequence[tuple[int, Entry]]
) -> Iterator[tuple[int, Entry, LoadedImage | SegdiffError]]:
    """Each entry with what it became, or why it could not be used; one is read ahead."""
    with ThreadPoolExecutor(1) as pool:
        ahead: Future[LoadedImage] | None = pool.submit(loader.load, entries[0][1]) if entries else None
        for place, (number, entry) in enumerate(entries):
            assert ahead is not None
            current = ahead
            more = place + 1 < len(entries)
            ahead = pool.submit(loader.load, entries[place + 1][1]) if more else None
            try:
                yield number, entry, current.result()
            except SegdiffError as error:
                yield number, entry, error


@dataclass
class Model:
    """One model: its graph, and the engine that runs it, started anew after a crash.

    ``ways`` are those that are left to run it, ``remarks`` why others are not.
    """

    graph: Graph
    start: Callable[[], Engine]
    engine: Engine
    failures: int = 0
    ways: tuple[Way, ...] = ()
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ways = self.ways or (*engine_for(self.graph.format).ways, None)

    def run(self, feeds: Mapping[str, Tensor]) -> list[Tensor]:
        """The model's outputs in its order. Raises EngineError where it runs in none of the ways left.

        A way in which the model does not run, but in a later one does, is given up.
        """
        for place, way in enumerate(self.ways):
            try:
                found = self._run_again(way, feeds)
            except EngineError as error:
                failure = error
                continue
            if place:
                self.remarks.append(f"{one_line(failure)}; so it was run {in_words(way)}.")
                self.ways = self.ways[place:]
            self.failures = 0
            return found
        self.failures += 1
        raise failure

    def _run_again(self, way: Way, feeds: Mapping[str, Tensor]) -> list[Tensor]:
        """Run in one way, and once more where the engine died of something else: short memory, a kill."""
        try:
            return self.run_in(way, feeds)
        except EngineError as error:
            if not error.died or error.silent:
                raise
            return self.run_in(way, feeds)

    def run_in(self, way: Way, feeds: Mapping[str, Tensor]) -> list[Tensor]:
        """The model's outputs in its order, run in one way. Raises EngineError."""
        wanted = tuple(dict.fromkeys(self.graph.outputs))
        cuts = engine_for(self.graph.format).cuts
        ops = tuple(op.index for op in self.graph.ops) if cuts else None
        try:
            found = (
                self.engine.run_deployed(feeds, wanted, way) if way else self.engine.run(feeds, wanted, ops)
            )
        except EngineError:
            if not self.engine.is_alive:
                self.engine.close()
                self.engine = self.start()
            raise
        missing = [name for name in wanted if name not in found]
        if missing:
            raise EngineError(f"{self.graph.path}: the output {missing[0]!r} did not come")
        return [found[name] for name in self.graph.outputs]

    @property
    def is_broken(self) -> bool:
        """Whether it failed so often in a row that the model is to blame, not an image."""
        return self.failures >= FAILURES_IN_A_ROW


def in_words(way: Way) -> str:
    """How a model was run, for a remark."""
    return "optimised, but without oneDNN" if way else "as written, without any optimisation"


@dataclass
class BothModels:
    """Both models, fed the same tensor or, where the user says so, the candidate its own."""

    blocks: Blocks
    reference: Model
    candidate: Model

    def run(self, ready: LoadedImage) -> tuple[list[Tensor], list[Tensor], list[Tensor] | None]:
        """Outputs of the reference, of the candidate on the same tensor, and on its own if it has one."""
        ours, theirs = self.feeds(ready)
        first = self.reference.run(ours)
        second = self.candidate.run(theirs)
        if ready.own is None:
            return first, second, None
        own = {self.candidate.graph.inputs[0]: self.blocks.tensor(ready.own)}
        return first, second, self.candidate.run(own)

    def feeds(self, ready: LoadedImage) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The same tensors by the names of each model's inputs."""
        ours = {name: self.blocks.tensor(array) for name, array in ready.tensors.items()}
        return ours, dict(zip(self.candidate.graph.inputs, ours.values(), strict=False))


def check_inputs(reference: Graph, candidate: Graph) -> None:
    """Raise InputError where the models want another number of inputs or give another number of outputs."""
    for what, ours, theirs in (
        ("inputs", reference.inputs, candidate.inputs),
        ("outputs", reference.outputs, candidate.outputs),
    ):
        if len(ours) != len(theirs):
            raise InputError(
                f"{candidate.path} has {len(theirs)} {what}, {reference.path} {len(ours)}; "
                "only models of the same interface can be compared."
            )

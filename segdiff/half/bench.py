"""What does a model give with some groups in half precision? One session in a process of its own, asked on.

with bench(path, how) as tried:
    plain = tried.run(tensors, [])
    half = tried.run(tensors, range(len(tried.groups)))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from segdiff.core.errors import EngineError, ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array
from segdiff.core.memory import give_back
from segdiff.engines import Blocks, Deployed, Engine, Tensor
from segdiff.engines.registry import WHOLE, engine_for, threads_of
from segdiff.half.groups import Group
from segdiff.half.read import File
from segdiff.half.store import OnDisk
from segdiff.half.switched import EXTENTS, EXTRA_OPSET, ROUNDED, SAMPLE, SAMPLES, WATCHED, switched
from segdiff.half.targets import How
from segdiff.readers.onnx import load_light

NO_NUMBERS = frozenset({"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Flatten"})
"""What may stand between an argmax and the output."""


FRUGAL = Deployed("extended", without=("ConstantFolding",), arena=False)
"""How a large model is run: blocked layouts would be converted at both ends of every group, folded constants
held beside those that they were made of, and an arena keeps what it has once needed."""

WIDE = 1 << 20
"""Numbers that are fed from which a model counts as large: 512x1024 in three channels does, 320x320 does
not. There the defaults take two thirds of the time."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a group gives in a plain run: its largest and smallest value, how many there are, a sample."""

    high: float
    low: float
    count: int
    sample: Array

    @property
    def reach(self) -> float:
        """The largest size of a value."""
        return max(abs(self.high), abs(self.low))


@dataclass(frozen=True)
class Kept:
    """A tensor on disk, mapped for as long as somebody looks at it."""

    file: Path

    @property
    def array(self) -> Array:
        """Its numbers."""
        found: Array = np.load(self.file, mmap_mode="r")
        return found


@dataclass
class Runner:
    """One ONNX file in a process of its own, started anew where that was ended from outside; ``copies`` are
    it and the file of a user that it is a copy of, which is told in its place."""

    start: Callable[[], Engine]
    engine: Engine
    blocks: Blocks
    way: Deployed | None = None
    copies: tuple[Path, Path] | None = None

    def run(self, tensors: Mapping[str, Array], outputs: Iterable[str]) -> dict[str, Tensor]:
        """The outputs of a run, optimised as a user's. Raises EngineError."""
        wanted = tuple(outputs)
        with told_as(self.copies):
            try:
                return self._run(tensors, wanted)
            except EngineError as error:
                if not error.died or error.silent:
                    raise
                self.engine.close()
                self.engine = self.start()
                return self._run(tensors, wanted)

    def _run(self, tensors: Mapping[str, Array], outputs: tuple[str, ...]) -> dict[str, Tensor]:
        if self.way is None:
            self.way = FRUGAL if sum(array.size for array in tensors.values()) > WIDE else Deployed()
        feeds = {name: self.blocks.tensor(np.ascontiguousarray(array)) for name, array in tensors.items()}
        return self.engine.run_deployed(feeds, outputs, self.way)


@contextmanager
def told_as(copies: tuple[Path, Path] | None) -> Iterator[None]:
    """Let an engine's error name the file that a user has given, and not the copy of it that was run."""
    try:
        yield
    except EngineError as error:
        if copies is not None:
            copy, own = copies
            error.args = (str(error).replace(str(copy), str(own)),)
        raise


@contextmanager
def running(
    program: Path, *, timeout: float, threads: int | None, own: Path | None = None
) -> Iterator[Runner]:
    """A process that runs an ONNX file; it ends with the block. ``own`` is the user's file that it is a copy
    of. Raises EngineError."""
    blocks = Blocks()
    row = engine_for(WHOLE)
    files = ModelFiles(WHOLE, program, None, None)

    def start() -> Engine:
        return Engine(files, blocks, timeout=timeout, threads=threads_of(row, threads))

    copies = None if own is None else (program, own)
    with told_as(copies):
        runner = Runner(start, start(), blocks, copies=copies)
    try:
        yield runner
    finally:
        runner.engine.close()
        blocks.close()


@dataclass
class Bench:
    """A model whose groups are switched: ``outputs`` are what is compared, by name."""

    runner: Runner
    groups: tuple[Group, ...]
    outputs: tuple[str, ...]
    looks_deep: bool
    folder: Path
    runs: int = 0

    def run(self, tensors: Mapping[str, Array], rounded: Iterable[int]) -> dict[str, Tensor]:
        """The outputs with these groups (their places) in half precision. Raises EngineError."""
        self.runs += 1
        return self.runner.run({**tensors, **self._flags(rounded, watched=False)}, self.outputs)

    def look(self, tensors: Mapping[str, Array]) -> tuple[dict[str, Tensor], tuple[Look, ...]]:
        """The outputs of a plain run, and what every group gives in it. Raises EngineError."""
        self.runs += 1
        more = (EXTENTS, SAMPLES) if self.looks_deep else (EXTENTS,)
        found = self.runner.run({**tensors, **self._flags((), watched=True)}, (*self.outputs, *more))
        samples = found[SAMPLES].array if self.looks_deep else None
        return {name: found[name] for name in self.outputs}, looks(found[EXTENTS].array, samples)

    def kept(self, outputs: Mapping[str, Tensor]) -> Mapping[str, Tensor | Kept]:
        """The outputs of a large model on disk, so that no run has to share the memory with them."""
        if self.runner.way != FRUGAL:
            return outputs
        files = {name: self.folder / f"plain{place}.npy" for place, name in enumerate(outputs)}
        for name, tensor in outputs.items():
            np.save(files[name], tensor.array)
        return {name: Kept(file) for name, file in files.items()}

    def _flags(self, rounded: Iterable[int], *, watched: bool) -> dict[str, Array]:
        flags = np.zeros(len(self.groups), bool)
        flags[list(rounded)] = True
        return {ROUNDED: flags, WATCHED: np.array([watched])}


def looks(extents: Array, samples: Array | None) -> tuple[Look, ...]:
    """What the session tells of its groups, one by one."""
    found, place = [], 0
    for high, low, count in extents.reshape(-1, 3).tolist():
        many = int(count)
        step = many // (2 * SAMPLE) * 2 + 1
        length = -(-many // step)
        sample = np.zeros(0, np.float32) if samples is None else samples[place : place + length].copy()
        place += length
        found.append(Look(high, low, many, sample))
    return tuple(found)


@contextmanager
def bench(program: Path, how: How, *, timeout: float = 300.0, threads: int | None = None) -> Iterator[Bench]:
    """A session in which every group of an ONNX file can be switched to half precision.

    Raises ModelError where the file cannot be read or holds nothing to round, EngineError where onnxruntime
    does not take it.
    """
    with TemporaryDirectory(prefix="segdiff-") as folder:
        place = Path(folder) / program.name
        groups, outputs, deep = write(program, how, place)
        give_back()
        with running(place, timeout=timeout, threads=threads, own=program) as runner:
            yield Bench(runner, groups, outputs, deep, Path(folder))


def write(program: Path, how: How, into: Path) -> tuple[tuple[Group, ...], tuple[str, ...], bool]:
    """Write the switched model; its groups, the outputs that are compared, and whether it tells samples.

    Here, so that the model is gone before anything runs.
    """
    model = load_light(program)
    refuse_half(model, program)
    outputs = compared(File(model, program))
    store = OnDisk(into.with_name(f"{into.name}.data"))
    try:
        made, groups = switched(model, program, how, outputs, store)
    finally:
        store.close()
    if not groups:
        raise ModelError(f"{program}: computes nothing in floating point, so half precision changes nothing")
    into.write_bytes(made.SerializeToString())
    return groups, outputs, File(model).opset >= EXTRA_OPSET


def refuse_half(model: onnx.ModelProto, program: Path) -> None:
    """Raise ModelError where a file computes in half precision already."""
    narrow = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type in narrow]
    fed = [item for item in model.graph.input if item.type.tensor_type.elem_type in narrow]
    if weights or fed:
        raise ModelError(
            f"{program}: is in half precision already; give the float32 file that it was made of, or ask "
            "segdiff locate what its precision costs"
        )


def compared(file: File) -> tuple[str, ...]:
    """The values to compare: each output, and the numbers behind one that is an argmax."""
    found = []
    for item in file.model.graph.output:
        found.append(item.name)
        behind = before_argmax(file, item.name)
        if behind:
            found.append(behind)
    return tuple(dict.fromkeys(found))


def before_argmax(file: File, name: str) -> str | None:
    """The numbers of which an output says the largest, where it is such an output."""
    while name in file.producers and name not in file.floats:
        node = file.nodes[file.producers[name]]
        if node.op_type == "ArgMax":
            return node.input[0] if node.input[0] in file.floats else None
        if node.op_type not in NO_NUMBERS:
            return None
        name = node.input[0]
    return None

"""What if the reference has run before? Its values come from the cache; its engine starts for what is new.

A value stands for what an engine would compute as long as nothing that computes it has changed: the model's
files, the input tensors, the framework and its settings, the machine, and segdiff's own engines and readers.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles, hashed
from segdiff.core.graph import Array
from segdiff.core.quantised import Quantisation
from segdiff.core.version import VERSION
from segdiff.engines import Blocks, Engine, Tensor
from segdiff.engines.ahead import read_ahead
from segdiff.engines.cache import Cache, Values, engine_noted, evict, identity, note_engine
from segdiff.engines.protocol import Deployed, Ready
from segdiff.engines.registry import EngineRow, engine_for, threads_of
from segdiff.engines.revived import Reference
from segdiff.readers.companions import external_data

SETTINGS = ("FLAGS_", "OMP_", "MKL_", "DNNL_", "ONEDNN_", "ORT_", "KMP_", "OPENBLAS_", "GOTO_")
"""How the variables begin by which a framework, or what computes in it, is set."""

OFTEN = 1 << 30
"""Bytes that are written before it is asked whether others must go."""

SECONDS = 60.0
"""For another Python to name its packages."""

NAMES = (
    "import json, sys, platform\n"
    "from importlib import metadata\n"
    "def of(name):\n"
    "    try: return metadata.version(name)\n"
    "    except metadata.PackageNotFoundError: return None\n"
    "print(json.dumps([platform.python_version(), {name: of(name) for name in sys.argv[1:]}]))"
)
"""Prints which Python this is, and the versions of some packages."""


@dataclass
class Keeping:
    """Where one model's values are kept, and how many of an earlier run's were ``taken`` from there."""

    cache: Cache
    model: str
    taken: int = 0


def keeping(
    cache: Cache | None, files: ModelFiles, python: str | None, threads: int | None
) -> Keeping | None:
    """Where the values of a model go that this engine runs; None without a cache, and where it cannot be told
    what computes them."""
    if cache is None:
        return None
    row = engine_for(files.format)
    computes = versions_of(row, python or row.interpreter)
    if computes is None:
        return None
    engine = row.home.framework, threads_of(row, threads), computes
    try:
        return Keeping(cache, identity(*_hashes(files), *engine, *surroundings()))
    except OSError:  # a file that cannot be read: the engine says so
        return None


def _hashes(files: ModelFiles) -> Iterator[str]:
    """The files of a model that an engine reads, by what is in them."""
    params = files.params
    inside = sorted(each for each in params.iterdir() if each.is_file()) if params and params.is_dir() else []
    single = [params] if params and params.is_file() else []
    beside = external_data(files.program) if files.format == "onnx" else ()
    yield files.format
    for path in (files.program, *single, *inside, *beside):
        yield hashed(path, path.name).sha256


def versions_of(row: EngineRow, python: str | None) -> str | None:
    """What computes: Python and the packages of an engine; None where none of them is known by its name."""
    if python is None:
        found: Any = [platform.python_version(), {name: _version(name) for name in row.packages}]
    else:
        try:
            told = subprocess.run(
                [python, "-c", NAMES, *row.packages], capture_output=True, timeout=SECONDS, check=True
            )
            found = json.loads(told.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
    return json.dumps(found) if any(found[1].values()) else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def surroundings() -> tuple[str, ...]:
    """What else may change a result: the processor, variables, segdiff's own code that runs models."""
    settings = sorted(f"{name}={text}" for name, text in os.environ.items() if name.startswith(SETTINGS))
    return VERSION, code(), processor(), *settings


@lru_cache(1)
def code() -> str:
    """A hash of the modules that run and read models."""
    found = sha256()
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent / "readers"):
        for file in sorted(folder.rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()


@lru_cache(1)
def processor() -> str:
    """Which processor this is: libraries choose their kernels by it."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
        return f"{platform.machine()} {sorted(set(told))}"
    return platform.machine()


class CachedEngine:
    """An engine that answers from the cache what it has computed before, and starts for the rest.

    Where the cache holds anything of the model it waits to be needed, else it starts at once.
    """

    def __init__(self, make: Callable[[], Engine], files: ModelFiles, blocks: Blocks, kept: Keeping) -> None:
        self.make, self.files, self.blocks, self.kept = make, files, blocks, kept
        self.row = engine_for(files.format)
        self.name = self.row.name
        self.inner: Engine | None = None
        self._quantised: Mapping[str, Quantisation] = {}
        # An engine ends with the thread that has started it: this one lives as long as it is needed.
        self.starter = ThreadPoolExecutor(1, thread_name_prefix="segdiff-start")
        self.noted = engine_noted(kept.cache, kept.model)
        if self.noted is None:
            self.inner = self.starter.submit(make).result()

    @property
    def begun(self) -> bool:
        """Whether the engine has been started."""
        return self.inner is not None

    def begin(self) -> Engine:
        """The engine itself, ready. Raises EngineError where it cannot load the model."""
        if self.inner is None:
            self.inner = self.starter.submit(self.make).result()
            self.inner.quantised = self._quantised
        self.wait_until_ready()
        return self.inner

    @property
    def quantised(self) -> Mapping[str, Quantisation]:
        """The values that come and go as the numbers that they stand for."""
        return self._quantised

    @quantised.setter
    def quantised(self, values: Mapping[str, Quantisation]) -> None:
        self._quantised = values
        if self.inner is not None:
            self.inner.quantised = values

    @property
    def loaded(self) -> Ready | None:
        """What computes, or has computed what is cached."""
        if self.inner is not None:
            return self.inner.loaded
        noted = self.noted or {}
        return Ready(str(noted.get("python", "")), dict(noted.get("versions", {})))

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self.inner is None or self.inner.is_alive

    @property
    def failure(self) -> str | None:
        """The engine's last word, where it is gone."""
        return self.inner.failure if self.inner else None

    @property
    def child(self) -> Any:
        """The engine's process, once it was started."""
        assert self.inner is not None
        return self.inner.child

    def wait_until_ready(self) -> None:
        """Wait for the model to be loaded, where the engine was started. Raises EngineError."""
        if self.inner is None:
            return
        fresh = self.inner.loaded is None
        self.inner.wait_until_ready()
        if fresh and self.inner.loaded is not None:
            ready = self.inner.loaded
            note_engine(self.kept.cache, self.kept.model, ready.python, ready.versions)

    def close(self) -> None:
        """End the engine's process, where there is one."""
        if self.inner is not None:
            self.inner.close()
        self.starter.shutdown(wait=False)

    def stream(
        self,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
    ) -> Iterator[tuple[str, Tensor]]:
        """The values wanted, from the cache where it holds them all, else from a run. Raises EngineError."""
        if ops is not None or edits:
            return self.begin().stream(feeds, wanted, ops, edits)
        return self._streamed(feeds, dict.fromkeys(wanted))

    def run(
        self,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
    ) -> dict[str, Tensor]:
        """All the values wanted at once. Raises EngineError."""
        return dict(self.stream(feeds, wanted, ops, edits))

    def _streamed(self, feeds: Mapping[str, Tensor], left: dict[str, None]) -> Iterator[tuple[str, Tensor]]:
        values, kind = self._values(feeds), self._run_kind()
        listed = values.listed()
        order = [name for name in listed["order"].get(kind, ()) if name in left]
        known = {*order, *listed["absent"].get(kind, ())}
        sizes = values.sizes(kind, order)
        if known.issuperset(left) and all(sizes.values()):
            values.used()
            for name, tensor in read_ahead(sizes, partial(self._read, values, kind)):
                if tensor is None:
                    break  # what is left is computed
                del left[name]
                self.kept.taken += not self.begun
                yield name, tensor
                del tensor
            else:
                return
        came: list[str] = []
        keep = Writing(values, kind)
        for name, tensor in self.begin().stream(feeds, tuple(left)):
            keep.add(name, tensor.array)
            came.append(name)
            yield name, tensor
            del tensor
        keep.finish(order=came, absent=[name for name in left if name not in came])

    def repeated(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of a second run: those from the cache of which one has given the same once, the others
        from a run of now. Raises EngineError."""
        asked, values, kind = dict.fromkeys(wanted), self._values(feeds), self._run_kind()
        proven = set(values.listed()["repeats"].get(kind, ()))
        yield from self._streamed(feeds, dict.fromkeys(name for name in asked if name in proven))
        left = [name for name in asked if name not in proven]
        same: list[str] = []
        for name, tensor in self.begin().stream(feeds, left) if left else ():
            first = values.load(kind, name)
            if first is not None and first.tobytes() == tensor.array.tobytes():
                same.append(name)
            yield name, tensor
            del tensor
        if same:
            values.note(kind, repeats=same)

    def run_deployed(
        self, feeds: Mapping[str, Tensor], outputs: Iterable[str], how: Deployed
    ) -> dict[str, Tensor]:
        """The outputs as a user has them, from the cache or from a run. Raises EngineError."""
        wanted = tuple(outputs)
        if how.save or how.without:
            return self.begin().run_deployed(feeds, wanted, how)
        values, kind = self._values(feeds), identity("deployed", how)
        listed = values.listed()
        if kind in listed["refused"]:
            raise EngineError(listed["refused"][kind])
        known = {name: tensor for name in wanted if (tensor := self._read(values, kind, name)) is not None}
        if wanted and len(known) == len(set(wanted)):
            values.used()
            self.kept.taken += 0 if self.begun else len(known)
            return known
        try:
            found = self.begin().run_deployed(feeds, wanted, how)
        except EngineError as error:
            if self.is_alive and not (error.died or error.silent or error.killed):
                values.note(kind, refused=str(error))
            raise
        keep = Writing(values, kind)
        for name, tensor in found.items():
            keep.add(name, tensor.array)
        keep.finish(order=list(found))
        return found

    def _read(self, values: Values, kind: str, name: str) -> Tensor | None:
        """One tensor of the cache, read into a block that others map; None where it is not there."""
        made: list[Tensor] = []

        def room(shape: tuple[int, ...], dtype: Any) -> Array:
            made.append(self.blocks.room(shape, dtype))
            return made[-1].array

        return None if values.load(kind, name, room) is None else made[-1]

    def _run_kind(self) -> str:
        """What names a run in which every value is shown: with their numbers, or with the integers."""
        return identity("run", *sorted(self._quantised))

    def _values(self, feeds: Mapping[str, Tensor]) -> Values:
        """Where the values for these inputs are kept."""
        parts = [part for name in sorted(feeds) for part in (name, *_told(feeds[name].array))]
        return Values(self.kept.cache, self.kept.model, identity(*parts))


class Writing:
    """Keeps the values of one run as they come, within the size of the cache."""

    def __init__(self, values: Values, kind: str) -> None:
        self.values, self.kind = values, kind
        self.written, self.asked = 0, 0

    def add(self, name: str, array: Array) -> None:
        """Keep one; none more, once they are together more than the cache may hold."""
        self.written += array.nbytes
        if self.written > self.values.cache.limit:
            return
        self.values.add(self.kind, name, array)
        if self.written - self.asked > OFTEN:
            self.asked = self.written
            evict(self.values.cache)

    def finish(self, **noted: list[str]) -> None:
        """The run is over: what came may be used again, where all of it was kept."""
        if self.written > self.values.cache.limit:
            self.values.forget()
        else:
            self.values.note(self.kind, **noted)


class CachedReference(Reference):
    """A reference whose engine answers from the cache."""

    remembers = True

    def living(self) -> Engine:
        """The engine; it cannot have died before it was started."""
        cached = cast(CachedEngine, self.engine)
        return super().living() if cached.begun else self.engine

    def repeated(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of a second run, which need not be this one's second. Raises EngineError."""
        return cast(CachedEngine, self.engine).repeated(feeds, wanted)


def _told(array: Array) -> tuple[str, str, str]:
    """What tells an input tensor from all others."""
    return array.dtype.name, str(array.shape), sha256(np.ascontiguousarray(array).data).hexdigest()


def engine_of(start: Callable[[], Engine], files: ModelFiles, blocks: Blocks, kept: Keeping | None) -> Engine:
    """The engine that ``start`` starts; with a cache only where that does not know what is asked."""
    return start() if kept is None else cast(Engine, CachedEngine(start, files, blocks, kept))


def reference_of(
    start: Callable[[], Engine], files: ModelFiles, blocks: Blocks, kept: Keeping | None
) -> Reference:
    """The reference in such an engine."""

    def again() -> Engine:
        return engine_of(start, files, blocks, kept)

    return Reference(again, again()) if kept is None else CachedReference(again, again())

"""What if a side cannot run here? Its tensors come from what it has left behind, as from an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from segdiff.core.dumped import Dump
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError, ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Graph
from segdiff.core.quantised import Quantisation
from segdiff.engines.blocks import Tensor
from segdiff.engines.client import Engine
from segdiff.engines.protocol import Ready
from segdiff.engines.revived import Reference
from segdiff.engines.shared import Blocks


class DumpedEngine:
    """A dump that answers where an engine is asked for values; what it does not hold is left out."""

    name = "dump"
    failure: str | None = None
    is_alive = True

    def __init__(self, path: Path, blocks: Blocks, files: ModelFiles | None = None) -> None:
        self.path, self.blocks, self.files = path, blocks, files
        self.dump: Dump | None = None
        self.quantised: Mapping[str, Quantisation] = {}
        self.loaded = Ready("", {})
        self.fed: Mapping[str, Tensor] = {}

    def wait_until_ready(self) -> None:
        """It is."""

    def close(self) -> None:
        """Nothing is open."""

    def stream(
        self,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
    ) -> Iterator[tuple[str, Tensor]]:
        """The values wanted, in the dump's order. Raises EngineError where one cannot be read."""
        if ops is not None or edits or self.dump is None:
            self._cannot_run()
        self.fed = self.fed or dict(feeds)
        if any(self.fed.get(name) is not tensor for name, tensor in feeds.items()):
            self._cannot_run()
        asked = set(wanted)
        for name, tensor in self.dump.tensors.items():
            if name not in asked:
                continue
            try:
                array = tensor.load()
            except ModelError as error:
                raise EngineError(str(error)) from error
            how = self.quantised.get(name)
            if how is not None and array.dtype.name == how.dtype:
                array = how.numbers(array)
            yield name, self.blocks.tensor(array)

    def run(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
        """All the values wanted at once. Raises EngineError."""
        return dict(self.stream(feeds, wanted))

    def run_deployed(self, *asked: Any) -> NoReturn:
        """Raises EngineError: it has run elsewhere."""
        self._cannot_run()

    def _cannot_run(self) -> NoReturn:
        raise EngineError(f"{self.path}: is a dump, and nothing more can be run of it")


class DumpedReference(Reference):
    """A side of which there is a dump alone."""

    def __init__(self, path: Path, blocks: Blocks, files: ModelFiles | None = None) -> None:
        self.dumped = DumpedEngine(path, blocks, files)
        engine = cast(Engine, self.dumped)
        super().__init__(lambda: engine, engine, 0)

    def opened(self, dump: Dump) -> DumpedReference:
        """The same, once its graph is known and the dump was read against it."""
        self.dumped.dump = dump
        return self

    def living(self) -> Engine:
        """The dump itself."""
        return self.engine

    def hidden(self, graph: Graph) -> frozenset[str]:
        """The values of its graph that it does not hold."""
        known = self.dumped.dump.tensors if self.dumped.dump else {}
        made = {name for op in graph.ops for name in op.outputs}
        return frozenset(made - known.keys())

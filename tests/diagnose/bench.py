"""One small reference, many candidates: what segdiff says of each. The engines are started once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnx import ModelProto

from segdiff.core.answer import Cause
from tests.faults import Injector, visible
from tests.models import Array, save
from tests.sweeps.bench import Bench
from tests.sweeps.pairs import Pair


class Asked:
    """A reference that candidates are compared with."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.folder = bench, folder

    def causes(self, candidate: ModelProto) -> list[Cause]:
        """The cause of every origin."""
        report = self.bench.diagnose(save(candidate, self.folder / "candidate.onnx"))
        return [origin.cause for origin in report.origins if origin.cause is not None]

    def cause(self, candidate: ModelProto) -> Cause:
        """The cause of the only origin."""
        (found,) = self.causes(candidate)
        return found

    def names_planted(self, model: ModelProto, feed: Array, kind: str, seeds: int) -> bool:
        """Whether each fault of a kind that can be seen is named and proven; false where none can."""
        injector, seen = Injector(model), 0
        for seed in range(seeds):
            faulty, fault = injector.plant(seed, kind)
            if visible(model, faulty, fault, {"x": feed}).visible:
                cause = self.cause(faulty)
                assert (cause.kind, cause.proven) == (kind, True), (fault, cause.text)
                seen += 1
        return seen > 0


class _Fed(Pair):
    """A pair with a ready tensor."""

    fed: Array

    @property
    def image(self) -> Array:  # type: ignore[override]
        return self.fed


@contextmanager
def asked(reference: ModelProto, feed: Array, folder: Path) -> Iterator[Asked]:
    """The reference with its engines running, fed with ``feed``."""
    file = save(reference, folder / "reference.onnx")
    pair = _Fed("small", file, file)
    object.__setattr__(pair, "fed", feed)
    with Bench(pair) as bench:
        yield Asked(bench, folder)

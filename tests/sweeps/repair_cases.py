"""Which faulty files are repaired? Planted faults, those in float16 and int8 files, changed outputs."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime as ort

import segdiff
from segdiff.core.answer import Report
from segdiff.core.graph import Array
from tests import models
from tests.faults import Injector, NoEligibleNode
from tests.sweeps import outputs, precision
from tests.sweeps.bench import Bench
from tests.sweeps.faults import Planter
from tests.sweeps.log import Log
from tests.sweeps.pairs import Pair, pairs
from tests.sweeps.two_faults import both, couples, pool


@dataclass(frozen=True)
class Faulty:
    """A file with a fault; ``truth`` is what the reference gives for ``image``, and ``healthy`` the file
    without the fault, where there is one whose nodes have the same names."""

    key: str
    source: str
    pair: str
    kind: str
    model: onnx.ModelProto
    image: Array
    truth: list[Array]
    diagnose: Callable[[Path], Report]
    healthy: onnx.ModelProto | None = None


Source = Callable[[list[str], Log, int, int, Path], Iterator[Faulty]]


def run_plainly(model: onnx.ModelProto, image: Array) -> list[Array]:
    """The outputs of a healthy model, by onnxruntime."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: image}))


def fitting(patterns: list[str], names: list[str], folder: Path) -> list[Pair]:
    """Small networks against themselves, then the pairs that there are."""
    wanted = patterns or [*names, "rapidocr-*"]
    chosen = [p for p in precision.small(folder) if any(fnmatch.fnmatch(p.name, w) for w in wanted)]
    return chosen + pairs(wanted)


def planted(patterns: list[str], log: Log, singles: int, doubles: int, folder: Path) -> Iterator[Faulty]:
    """Single faults, every kind once before any comes twice, and couples of them."""
    for pair in fitting(patterns, ["small-*", "*-64x*-p*"], folder):
        with Bench(pair) as bench:
            if bench.diagnose(pair.candidate).verdict != "agrees":
                continue
            planter = Planter(pair, log)
            model = planter.model
            truth = run_plainly(model, pair.image)

            def faulty(
                key: str, kind: str, broken: onnx.ModelProto, pair: Pair = pair, bench: Bench = bench
            ) -> Faulty:
                same = truth, bench.diagnose, model  # noqa: B023  (made and used in one turn of the loop)
                return Faulty(f"{pair.name} {key}", "fault", pair.name, kind, broken, pair.image, *same)

            for kind, seed in planter.cases(singles):
                try:
                    broken, _ = planter.injector.plant(seed, kind)
                except NoEligibleNode:
                    planter.barren.add(kind)
                    continue
                yield faulty(f"{kind} {seed}", kind, broken)
            injector: Injector = planter.injector
            for number, (first, second) in enumerate(couples(injector, pool(pair, model, injector), doubles)):
                kind = f"{first[1].kind} + {second[1].kind}"
                if f"{pair.name} {kind} {number}" not in log:
                    yield faulty(f"{kind} {number}", kind, both(model, first[0], second[0]))


def coarse(patterns: list[str], log: Log, singles: int, doubles: int, folder: Path) -> Iterator[Faulty]:
    """Faults planted in the float32 file that is then made float16 or quantised: one each way."""
    for pair in fitting(patterns, ["small-*"], folder):
        makers = list(precision.MAKERS)
        for maker, injector, kind, seed in precision.cases(pair, makers, log, singles * len(makers)):
            made = precision.planted(pair, maker, injector, kind, seed, folder, own=True)
            if made is None:
                continue
            reference, model = made[:2]

            def diagnose(file: Path, reference: Path = reference, pair: Pair = pair) -> Report:
                return segdiff.locate(reference, file, pair.image, deployed=False)

            truth = run_plainly(onnx.load(reference), pair.image)
            key = f"{pair.name} {maker} {kind} {seed}"
            yield Faulty(key, "precision", pair.name, kind, model, pair.image, truth, diagnose)


def changed_outputs(
    patterns: list[str], log: Log, singles: int, doubles: int, folder: Path
) -> Iterator[Faulty]:
    """The cases of ``tests.sweeps.outputs`` that diverge."""
    image = models.image()
    for number, case in enumerate(outputs.cases()):
        wanted = not patterns or any(fnmatch.fnmatch(case.name, f"*{pattern}*") for pattern in patterns)
        if case.verdict != "diverges" or not wanted or case.name in log:
            continue
        reference = models.save(case.reference, folder / f"reference{number}.onnx")

        def diagnose(file: Path, reference: Path = reference) -> Report:
            return segdiff.locate(reference, file, image, threads=1, deployed=False)

        truth = run_plainly(case.reference, image)
        yield Faulty(
            case.name, "outputs", "", case.name.split(":")[0], case.candidate, image, truth, diagnose
        )


SOURCES: Mapping[str, Source] = {"fault": planted, "precision": coarse, "outputs": changed_outputs}

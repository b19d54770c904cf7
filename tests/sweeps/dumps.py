"""Dumps of a device: is a healthy one agreed with in every form, is the operator found that it gets wrong?

``SEGDIFF_ZOO=DIR python -m tests.sweeps.dumps --out FILE [--faults N] [--strange N] [PATTERN ...]``

A simulated device (``tests/devices.py``) runs each model node by node, stores float16 (or float32) after
every fused group, and leaves its tensors in the forms of ``tests/dumps``. Faults "of the device": a node with
another attribute (``tests.faults``), one saturated, one whose layout was not undone, one with shifted
weights. ``--strange`` plants what no hypothesis is made for: the operator must be found, and no cause of it
may count as proven. Of results that are the outputs alone nothing can be found inside: a right device must
not be accused, nor must any operator.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

import segdiff
from segdiff.align.view import view_of
from segdiff.core.answer import Report
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array, Graph
from segdiff.readers import find, read
from tests.devices import Device, Fault
from tests.dumps.arrays import NAMINGS, write_npy, write_npz
from tests.dumps.ascend import DeviceOp, compiled, inner_values, write_om, write_om2, write_raw
from tests.dumps.results import write_ais_bench, write_polygraphy, write_qnn
from tests.faults import KINDS, Injector, NoEligibleNode
from tests.sweeps.log import Log, Record
from tests.sweeps.pairs import Pair, pairs

MODELS = ("SINet-64x*-p*", "FCN-GhostNet-64x*-p*", "PPHumanSegLite-64x*-p*", "rapidocr-det")

LEAST = 0.02
"""Relative change of the node's output from which on a planted fault counts: far above what half rounds."""

Write = Callable[["Side", Mapping[str, Array], Path], tuple[Path, Path | None]]


@dataclass(frozen=True)
class Side:
    """A model that a device runs, with its picture."""

    pair: Pair

    @cached_property
    def model(self) -> ModelProto:
        return onnx.load(self.pair.candidate)

    @cached_property
    def graph(self) -> Graph:
        return read(find(self.pair.candidate))

    @cached_property
    def ops(self) -> tuple[DeviceOp, ...]:
        return compiled(self.graph)

    @cached_property
    def inner(self) -> frozenset[str]:
        return frozenset(inner_values(self.ops))

    @cached_property
    def feeds(self) -> dict[str, Array]:
        return {self.graph.inputs[0]: self.pair.image}

    def tensors(self, half: bool, *faults: Fault, model: ModelProto | None = None) -> dict[str, Array]:
        """What the device stores."""
        return Device(model or self.model, half, self.inner, faults).run(self.feeds)

    def end_of(self, value: str) -> str:
        """The value that stands for the fused operator in which one is made."""
        for op in self.ops:
            if any(value in node.outputs for node in op.nodes):
                return value if value in op.outputs else op.outputs[0]
        return value


# --- forms


def as_npy(naming: str) -> Write:
    def write(side: Side, values: Mapping[str, Array], place: Path) -> tuple[Path, Path | None]:
        write_npy(place, side.graph, values, naming)
        return place, None

    return write


def as_npz(side: Side, values: Mapping[str, Array], place: Path) -> tuple[Path, Path | None]:
    write_npz(place.with_suffix(".npz"), values)
    return place.with_suffix(".npz"), None


def as_raw(version: int, layout: str, newer: bool = False) -> Write:
    def write(side: Side, values: Mapping[str, Array], place: Path) -> tuple[Path, Path | None]:
        ours = {
            name: array.astype(np.int32) if array.dtype == np.int64 else array
            for name, array in values.items()
        }
        write_raw(place, side.graph, side.ops, ours, version=version, layout=layout)
        om = place.with_suffix(".om2" if newer else ".json")
        if newer:
            write_om2(om, side.ops)
        else:
            write_om(om, side.graph, side.ops)
        return place, om

    return write


def as_polygraphy(side: Side, values: Mapping[str, Array], place: Path) -> tuple[Path, Path | None]:
    write_polygraphy(place.with_suffix(".json"), values)
    return place.with_suffix(".json"), None


def as_counted(form: str, first: int) -> Write:
    """The outputs alone, by their number: ais_bench counts from 0, the older ``benchmark`` from 1."""

    def write(side: Side, values: Mapping[str, Array], place: Path) -> tuple[Path, Path | None]:
        write_ais_bench(place, side.graph, {"image": values}, form=form, first=first, summary=not first)
        return place, None

    return write


def as_qnn(side: Side, values: Mapping[str, Array], place: Path) -> tuple[Path, Path | None]:
    write_qnn(place, values)
    return place / "Result_0", None


FORMS: Mapping[str, Write] = {
    **{f"npy-{naming}": as_npy(naming) for naming in NAMINGS},
    "npz": as_npz,
    "raw-1-NCHW": as_raw(1, "NCHW"),
    "raw-2-NCHW": as_raw(2, "NCHW"),
    "raw-2-NC1HWC0": as_raw(2, "NC1HWC0"),
    "raw-2-FRACTAL_NZ": as_raw(2, "FRACTAL_NZ"),
    "raw-2-NC1HWC0-om2": as_raw(2, "NC1HWC0", newer=True),
    "polygraphy": as_polygraphy,
    "results-ais_bench": as_counted("bin", 0),
    "results-ais_bench-txt": as_counted("txt", 0),
    "results-benchmark": as_counted("bin", 1),
    "results-qnn": as_qnn,
}

OUTPUTS_ALONE = frozenset({"results-ais_bench", "results-ais_bench-txt", "results-benchmark"})

OF_FAULTS = ("npz", "raw-2-NC1HWC0", "results-qnn")
"""The forms that faulty dumps have, in turn."""

DRAWS = 8
"""How often another fault is drawn where one changes too little to count."""


# --- faults


def saturated(array: Array) -> Array:
    """Numbers cut off at a third of the largest."""
    bound = np.float32(np.abs(array).max() / 3)
    return np.clip(array, -bound, bound)


def unpadded(array: Array) -> Array:
    """NC1HWC0 taken for NCHW, its padding not cut off."""
    n, c, h, w = array.shape
    groups = -(-c // 16)
    padded = np.pad(array, [(0, 0), (0, groups * 16 - c), (0, 0), (0, 0)])
    flat = padded.reshape(n, groups, 16, h, w).transpose(0, 1, 3, 4, 2).reshape(-1)
    return flat[: array.size].reshape(array.shape)


def shifted(weight: Array) -> Array:
    """A weight that begins one number late."""
    return np.roll(weight.reshape(-1), 1).reshape(weight.shape)


def squashed(array: Array) -> Array:
    """Numbers that bend where they grow, and never end."""
    bound = np.float32(np.abs(array).max() / 3)
    return (bound * np.tanh(array / bound)).astype(array.dtype)


def noisy(array: Array) -> Array:
    """Numbers with noise of a tenth of their spread."""
    noise = np.random.default_rng(array.size).normal(0, array.std() / 10, array.shape)
    return (array + noise).astype(array.dtype)


def stuck(array: Array) -> Array:
    """Numbers of which every fifth is the one before it."""
    flat = array.reshape(-1).copy()
    flat[4::5] = flat[3::5][: flat[4::5].size]
    return flat.reshape(array.shape)


STRANGE = {"squashed": squashed, "noisy": noisy, "stuck": stuck}


def strange(side: Side, number: int) -> tuple[str, Fault]:
    """Something that no hypothesis is made for, at some operator, with its kind."""
    made = [op for op in side.graph.ops if op.outputs[0] not in side.inner]
    places = [op.outputs[0] for op in made if op.type in ("Conv", "Relu", "Add", "Mul", "Concat", "Resize")]
    kind = sorted(STRANGE)[number % len(STRANGE)]
    place = str(np.random.default_rng(10_000 + number).choice(places))
    return kind, Fault(place, output=STRANGE[kind])


def planted(
    side: Side, number: int, used: set[str]
) -> Iterator[tuple[str, str, str, Fault | None, ModelProto | None]]:
    """Kind, cause wanted, place, and the fault, or the faulty model that the device runs; kinds that were
    ``used`` come last."""
    rng = np.random.default_rng(number)
    made = [op for op in side.graph.ops if op.outputs[0] not in side.inner]
    heads = [op for op in side.graph.ops if op.type in ("Conv", "MatMul", "Gemm")]
    kind = ("saturated", "layout", "weights", "operator")[number % 4]
    if kind == "saturated":
        place = str(rng.choice([op.outputs[0] for op in made if op.type in ("Conv", "Relu", "Add", "Mul")]))
        yield kind, "device.saturated", place, Fault(place, output=saturated), None
    elif kind == "layout":
        maps = [op.outputs[0] for op in made if op.type in ("Conv", "Relu", "Add", "Mul", "Concat", "Resize")]
        place = str(rng.choice(maps))
        yield (
            kind,
            "device.layout",
            place,
            Fault(place, output=lambda a: unpadded(a) if a.ndim == 4 else a),
            None,
        )
    elif kind == "weights":
        weighted = [op.outputs[0] for op in heads if side.graph.parameters.get(op.inputs[1])]
        place = str(rng.choice(weighted))
        yield kind, "device.weights", place, Fault(place, weights=shifted), None
    else:
        injector = Injector(side.model)
        names = [name for name in KINDS if not name.startswith(("parameter", "concat", "split"))]
        for name in sorted(rng.permutation(names), key=lambda each: each in used):
            try:
                model, fault = injector.plant(number, str(name))
            except NoEligibleNode:
                continue
            same = len(model.graph.node) == len(side.model.graph.node)
            if same and fault.outputs[0]:
                yield f"operator:{name}", "device.operator", fault.outputs[0], None, model


def error(ours: Array, theirs: Array) -> float:
    """Relative change of a tensor; infinite for another shape."""
    if ours.shape != theirs.shape:
        return float("inf")
    a, b = (np.asarray(each, np.float64) for each in (ours, theirs))
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) or 1))


# --- asking


def asked(side: Side, dump: Path, om: Path | None, reference: Path | None = None) -> Report:
    """The report on a dump; by default the file is its own reference."""
    return segdiff.locate(
        reference or side.pair.candidate,
        dump,
        side.pair.image,
        candidate_model=side.pair.candidate,
        map=om,
        timeout=120,
    )


def facts(report: Report) -> Record:
    """What a record keeps of a report."""
    device = report.device
    return {
        "verdict": report.verdict,
        "sentence": report.sentence,
        "origins": [
            {
                "value": origin.pair.candidate,
                "nodes": [name for node in origin.candidate_nodes for name in node.outputs],
                "cause": origin.cause.kind if origin.cause else None,
                "proven": bool(origin.cause and origin.cause.proven),
                "text": origin.cause.text if origin.cause else "",
                "home": "device" if origin.device else "other",
            }
            for origin in report.origins
        ],
        "isolated": device.isolated if device else None,
        "seen": device.seen if device else None,
        "missing": device.missing if device else None,
        "problems": list(device.problems)[:3] if device else [],
        "final": max(
            (
                o.cumulative.metrics.rel_l2
                for o in report.outputs
                if o.cumulative and not o.cumulative.mismatch
            ),
            default=None,
        ),
        "seconds": sum(report.timing_s.values()),
    }


def healthy(side: Side, log: Log, until: float) -> None:
    """A right device in every form, in half precision and in float32."""
    for half in (True, False):
        values = side.tensors(half)
        for form, write in FORMS.items():
            key = f"{side.pair.name}:{form}:{'half' if half else 'single'}"
            if key in log or time.monotonic() > until or (not half and form not in ("npz", "raw-2-NC1HWC0")):
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    dump, om = write(side, values, Path(folder) / "dump")
                    own = side.pair.reference if form == "npz" else None
                    found = facts(asked(side, dump, om, own))
                    ending = of_right(found, form)
                except SegdiffError as error:
                    found, ending = {"sentence": str(error)}, "FAILED"
            log.add({"key": key, "ending": ending, **found})
            print(f"{ending:14} {key} {found['sentence'][:110]}", flush=True)


def of_right(found: Record, form: str) -> str:
    """How an answer on a right device is counted: of outputs alone nothing inside can be known."""
    if form in OUTPUTS_ALONE:
        unseen = found["verdict"] == "inconclusive" and not found["origins"] and found["isolated"] == 0
        return "right outputs" if unseen and found["final"] is not None else "WRONG"
    return "right" if found["verdict"] == "agrees" else "WRONG"


def faulty(side: Side, count: int, log: Log, until: float) -> None:
    """As many faults of the device, in half precision, the dumps of several forms in turn."""
    right, used = side.tensors(True), set[str]()
    for place in range(count):
        form = OF_FAULTS[place // 4 % len(OF_FAULTS)]
        key = f"{side.pair.name}:{place}"
        if key in log or time.monotonic() > until:
            continue
        for draw in range(DRAWS):
            found = drawn(side, right, place + 1000 * draw, used)
            if found is not None:
                kind, cause, end, values = found
                record = asked_of(side, values, form, end, cause)
                log.add({"key": key, "kind": kind, "draw": draw, **record})
                tell(record, key, kind)
                break
        else:
            print(f"{'NOT DRAWN':14}{key}", flush=True)
            continue
        if place < 4:  # one of each kind by the outputs alone
            record = asked_of(side, values, "results-ais_bench", end, cause)
            log.add({"key": f"{key}:outputs", "kind": kind, **record})
            tell(record, f"{key}:outputs", kind)


Drawn = tuple[str, str, str, dict[str, Array]]
"""Kind of the fault, kind of the cause wanted, the value that errs, and what the device stores."""


def drawn(side: Side, right: Mapping[str, Array], number: int, used: set[str]) -> Drawn | None:
    """A fault that changes what its operator makes enough to count; None where this one does not."""
    for kind, cause, place, fault, model in planted(side, number, used):
        try:
            values = side.tensors(True, *([fault] if fault else []), model=model)
        except Exception:  # the runtime does not take the faulty node: another one
            continue
        if counts(right, values, end := side.end_of(place)):
            if fault is None:
                used.add(kind.partition(":")[2])
            return kind, cause, end, values
    return None


def counts(right: Mapping[str, Array], values: Mapping[str, Array], end: str) -> bool:
    """Whether a fault changes what it is planted in, in its shape."""
    there = end in values and end in right
    return there and LEAST < error(right[end], values[end]) < float("inf")


def odd(side: Side, count: int, log: Log, until: float) -> None:
    """Faults that no hypothesis is made for."""
    right = side.tensors(True)
    for place in range(count):
        key = f"{side.pair.name}:strange:{place}"
        if key in log or time.monotonic() > until:
            continue
        for draw in range(DRAWS):
            kind, fault = strange(side, place + 1000 * draw * len(STRANGE))
            try:
                values = side.tensors(True, fault)
            except Exception:
                continue  # what follows cannot do with what the fault makes
            if counts(right, values, end := side.end_of(fault.at)):
                record = asked_of(side, values, OF_FAULTS[place % len(OF_FAULTS)], end, "device.unknown")
                log.add({"key": key, "kind": kind, **record})
                tell(record, key, kind)
                break


def tell(record: Record, key: str, kind: str) -> None:
    """A line on one planted fault."""
    print(f"{record['ending']:14} {key} {kind} {record['at']} {record['sentence'][:90]}", flush=True)


def asked_of(side: Side, values: Mapping[str, Array], form: str, end: str, cause: str) -> Record:
    """What is said of a faulty device, and how that is counted."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            dump, om = FORMS[form](side, values, Path(folder) / "dump")
            found = facts(asked(side, dump, om))
            ending = of_outputs(found, side) if form in OUTPUTS_ALONE else ended(found, end, cause)
        except SegdiffError as error_:
            found, ending = {"sentence": str(error_)}, "FAILED"
    return {"ending": ending, "at": end, "wanted": cause, "form": form, **found}


def of_outputs(found: Record, side: Side) -> str:
    """How an answer on the outputs of a faulty device is counted: nobody inside may be accused, and it may
    not be agreed with."""
    half = len(view_of(side.graph).ops) // 2
    narrow = [o for o in found["origins"] if len(o["nodes"]) <= half or o["proven"]]
    if found["verdict"] == "agrees" or narrow:
        return "WRONG OUTPUTS"
    return "outputs err" if found["origins"] else "outputs within"


def ended(found: Record, place: str, cause: str) -> str:
    """How an answer on a planted fault is counted."""
    origins = found["origins"]
    if not any(place in origin["nodes"] for origin in origins):
        return "MISSED" if not origins else "WRONG OP"
    if len(origins) > 1:
        return "OTHERS TOO"
    told = origins[0]
    if not told["proven"]:
        return "found"
    if cause == "device.unknown":
        return "PROVEN WRONGLY"
    return "explained" if told["cause"] == cause else "other cause"


def main() -> int:
    """Run, and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.dumps", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--faults", type=int, default=15, help="of each model")
    parser.add_argument("--strange", type=int, default=0, help="of each model, that nothing explains")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--healthy", action="store_true", help="right dumps alone")
    parser.add_argument("--faulty", action="store_true", help="faults alone")
    parser.add_argument("patterns", nargs="*")
    given = parser.parse_args()
    log, until = Log(given.out), time.monotonic() + 60 * given.minutes
    for pair in pairs(given.patterns or MODELS):
        side = Side(pair)
        if not given.faulty:
            healthy(side, log, until)
        if not given.healthy:
            faulty(side, given.faults, log, until)
            odd(side, given.strange, log, until)
    print(dict(Counter(record["ending"] for record in log.records.values())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

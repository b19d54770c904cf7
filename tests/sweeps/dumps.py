"""Dumps of a device: is a healthy one agreed with in every form, is the operator found that it gets wrong?

``SEGDIFF_ZOO=DIR python -m tests.sweeps.dumps --out FILE [--faults N] [--minutes M] [PATTERN ...]``

A simulated device (``tests/devices.py``) runs each model node by node, stores float16 (or float32) after
every fused group, and leaves its tensors in the forms of ``tests/dumps``. Faults "of the device": a node with
another attribute (``tests.faults``), one saturated, one whose layout was not undone, one with shifted
weights.
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
from segdiff.core.answer import Report
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array, Graph
from segdiff.readers import find, read
from tests.devices import Device, Fault
from tests.dumps.arrays import NAMINGS, write_npy, write_npz
from tests.dumps.ascend import DeviceOp, compiled, inner_values, write_om, write_om2, write_raw
from tests.dumps.results import write_polygraphy
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


FORMS: Mapping[str, Write] = {
    **{f"npy-{naming}": as_npy(naming) for naming in NAMINGS},
    "npz": as_npz,
    "raw-1-NCHW": as_raw(1, "NCHW"),
    "raw-2-NCHW": as_raw(2, "NCHW"),
    "raw-2-NC1HWC0": as_raw(2, "NC1HWC0"),
    "raw-2-FRACTAL_NZ": as_raw(2, "FRACTAL_NZ"),
    "raw-2-NC1HWC0-om2": as_raw(2, "NC1HWC0", newer=True),
    "polygraphy": as_polygraphy,
}


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
                used.add(str(name))
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
                    ending = "right" if found["verdict"] == "agrees" else "WRONG"
                except SegdiffError as error:
                    found, ending = {"sentence": str(error)}, "FAILED"
            log.add({"key": key, "ending": ending, **found})
            print(f"{ending:8}{key} {found['sentence'][:110]}", flush=True)


def faulty(side: Side, count: int, log: Log, until: float) -> None:
    """Faults of the device, in half precision; every other dump is an Ascend one."""
    right, used = side.tensors(True), set[str]()
    for number in range(count):
        form = ("npz", "raw-2-NC1HWC0")[number // 4 % 2]
        for kind, cause, place, fault, model in planted(side, number, used):
            key = f"{side.pair.name}:{number}:{kind}"
            if key in log or time.monotonic() > until:
                break
            try:
                values = side.tensors(True, *([fault] if fault else []), model=model)
            except Exception:  # the runtime does not take the faulty node: another one
                continue
            end = side.end_of(place)
            if (
                end not in values
                or end not in right
                or not LEAST < error(right[end], values[end]) < float("inf")
            ):
                if fault is None:
                    continue
                break
            with tempfile.TemporaryDirectory() as folder:
                try:
                    dump, om = FORMS[form](side, values, Path(folder) / "dump")
                    found = facts(asked(side, dump, om))
                    ending = ended(found, end, cause)
                except SegdiffError as error_:
                    found, ending = {"sentence": str(error_)}, "FAILED"
            log.add({"key": key, "ending": ending, "at": end, "wanted": cause, "form": form, **found})
            print(f"{ending:14}{key} {end} {found['sentence'][:90]}", flush=True)
            break


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
    return "explained" if told["cause"] == cause else "other cause"


def main() -> int:
    """Run, and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.dumps", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--faults", type=int, default=15, help="of each model")
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
    print(dict(Counter(record["ending"] for record in log.records.values())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

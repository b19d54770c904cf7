"""Float16 and quantised files: do healthy ones agree, are faults found that are larger than their rounding?

``python -m tests.sweeps.precision --out FILE [--count N] [--minutes M] [PATTERN ...]``; a pattern fits names
of pairs. A fault is planted in the float32 file, which is then converted as a user would: by rounding alone
(``half``, ``half-io``), by onnxruntime's tools (``ort16``, ``ort16-io``, ``qdq``, ``qdq-channel``,
``qoperator``, ``qoperator-channel``, ``dynamic``), and by onnxconverter-common (``common``, ``common-io``)
where that is installed. Static files are calibrated on the right network, or with ``--own-ranges`` on the
faulty one, as a user would who does not know of the fault. Faults of the numbers themselves are those of
:mod:`tests.sweeps.precision_faults`. Every healthy file is run whole, outside segdiff, beside its float32
file.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import re
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, version_converter

import segdiff
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from tests.faults import KINDS, Fault, Injector, NoEligibleNode, visible
from tests.models import copied, halved, save, segmenter
from tests.sweeps.log import Log, Record
from tests.sweeps.outcome import origin_facts
from tests.sweeps.pairs import Pair, pairs
from tests.sweeps.precision_faults import BYTES, FACTORS, byte_faults, range_faults

Make = Callable[[ModelProto, Array, Path, Path | None], ModelProto]
"""Model, picture, folder to work in, and the file that keeps the ranges of a right network."""

LARGE: Mapping[str, float] = {"float16": 16 * 2.0**-11, "int8": 0.3}
"""Relative error of a node from which a fault must be found; below it may be within the precision."""

COARSE = re.compile(r"'(.+)' errs by \S+ on equal inputs, since all channels of a weight share one scale")
"""The remark on a value that is coarse with no fault planted; beside one, its part of the final error may be
another, and it is told as an origin."""

ENDINGS = "QuantizeLinear_Input QuantizeLinear_Output DequantizeLinear_Output quantized quant"
SUFFIXES = tuple(f"_{end}" for end in ENDINGS.split())


def common(keep_io: bool) -> Make:
    """onnxconverter-common's float16."""

    def make(model: ModelProto, image: Array, folder: Path, ranges: Path | None) -> ModelProto:
        from onnxconverter_common import float16

        made: ModelProto = float16.convert_float_to_float16(model, keep_io_types=keep_io)
        return made

    return make


def ort16(keep_io: bool) -> Make:
    """onnxruntime's float16."""

    def make(model: ModelProto, image: Array, folder: Path, ranges: Path | None) -> ModelProto:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        made: ModelProto = convert_float_to_float16(model, keep_io_types=keep_io)
        return made

    return make


def hoisted(model: ModelProto) -> ModelProto:
    """A copy whose Constant nodes are initializers: onnxruntime's quantiser sees no weights elsewhere."""
    copy = copied(model)
    kept = []
    for node in copy.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            copy.graph.initializer.append(node.attribute[0].t)
            copy.graph.initializer[-1].name = node.output[0]
        else:
            kept.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy


def with_axes(model: ModelProto) -> ModelProto:
    """A copy of an opset that knows a scale for each channel: in an older one it is refused."""
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    return version_converter.convert_version(model, 13) if opset < 13 else model


def static(form: str, per_channel: bool) -> Make:
    """onnxruntime's static quantisation, calibrated on the picture that the models are compared on."""

    def make(model: ModelProto, image: Array, folder: Path, ranges: Path | None) -> ModelProto:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        class Pictures(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self.left = iter((image, image * np.float32(0.9), np.roll(image, 17, -1)))

            def get_next(self) -> dict[str, Array] | None:
                return next(({model.graph.input[0].name: each} for each in self.left), None)

        source, target = folder / "float.onnx", folder / "static.onnx"
        onnx.save(hoisted(model) if not per_channel else with_axes(hoisted(model)), source)
        options: dict[str, Any] = {"quant_format": QuantFormat[form], "per_channel": per_channel}
        if ranges is not None:
            options["calibration_cache_path"] = ranges
        quantize_static(source, target, Pictures(), weight_type=QuantType.QInt8, **options)
        return onnx.load(target)

    return make


def dynamic(model: ModelProto, image: Array, folder: Path, ranges: Path | None) -> ModelProto:
    """onnxruntime's dynamic quantisation."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    onnx.save(hoisted(model), folder / "float.onnx")
    quantize_dynamic(folder / "float.onnx", folder / "dynamic.onnx", weight_type=QuantType.QUInt8)
    return onnx.load(folder / "dynamic.onnx")


MAKERS: Mapping[str, tuple[str, Make]] = {
    "half": ("float16", lambda model, *_: halved(model)),
    "half-io": ("float16", lambda model, *_: halved(model, keep_io=False)),
    "ort16": ("float16", ort16(True)),
    "ort16-io": ("float16", ort16(False)),
    "common": ("float16", common(True)),
    "common-io": ("float16", common(False)),
    "qdq": ("int8", static("QDQ", per_channel=False)),
    "qdq-channel": ("int8", static("QDQ", per_channel=True)),
    "qoperator": ("int8", static("QOperator", per_channel=False)),
    "qoperator-channel": ("int8", static("QOperator", per_channel=True)),
    "dynamic": ("int8", dynamic),
}
"""Name -> the arithmetic of the files it makes, and how."""


def stem(name: str) -> str:
    """A tensor's name without what a quantiser has added."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def holds(origin: Any, wanted: frozenset[str]) -> bool:
    """Whether an origin has a node of one of these names, or one that writes such a value."""
    names = {name for node in origin.candidate_nodes for name in (node.name, *node.outputs)}
    names |= {origin.pair.candidate, *(stem(name) for name in (*names, origin.pair.candidate))}
    return bool(names & wanted)


def behind(model: ModelProto, fault: Fault) -> frozenset[str]:
    """What the activations write that read the planted node."""
    merged = ("Relu", "Clip", "BatchNormalization")
    return frozenset(
        name
        for node in model.graph.node
        if node.op_type in merged and set(node.input) & set(fault.outputs)
        for name in node.output
    )


def healthy(pair: Pair, maker: str, folder: Path) -> Record:
    """The verdict on a file that is right."""
    record: Record = {
        "key": f"{pair.name} {maker} healthy",
        "sweep": "healthy",
        "maker": maker,
        "pair": pair.name,
    }
    arithmetic, make = MAKERS[maker]
    try:
        made = make(onnx.load(pair.candidate), pair.image, folder, folder / f"{pair.name}.json")
        onnx.save(made, folder / "made.onnx")
    except Exception as error:
        return {**record, "outcome": "not made", "said": str(error)[:200]}
    start = time.perf_counter()
    try:
        report = segdiff.locate(pair.reference, folder / "made.onnx", pair.image, deployed=False)
    except SegdiffError as error:
        return {**record, "outcome": "error", "said": str(error)[:300]}
    seconds = time.perf_counter() - start
    return {
        **record,
        "arithmetic": arithmetic,
        "outcome": report.verdict,
        "said": report.sentence,
        "final": report.precision.final_error if report.precision else None,
        "outside": whole_error(pair, folder / "made.onnx"),
        "extra": [origin_facts(origin) for origin in report.origins],
        "coarse": [found[1] for remark in report.remarks if (found := COARSE.match(remark))],
        "seconds": round(seconds, 1),
    }


def whole_error(pair: Pair, made: Path) -> float | str:
    """How far a file's outputs are from its float32 file's, both run whole by onnxruntime; why not, else."""
    found: list[list[Array]] = []
    try:
        for file in (pair.candidate, made):
            session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
            first = session.get_inputs()[0]
            given = pair.image.astype(np.float16 if first.type == "tensor(float16)" else np.float32)
            found.append(session.run(None, {first.name: given}))
    except Exception as error:
        return " ".join(str(error).split())[:160]
    ours, theirs = (np.concatenate([a.astype(np.float64).reshape(-1) for a in each]) for each in found)
    return float(np.linalg.norm(theirs - ours) / max(float(np.linalg.norm(ours)), 1e-30))


def planted(
    pair: Pair, maker: str, injector: Injector, kind: str, seed: int, folder: Path, *, own: bool
) -> tuple[Path, ModelProto, str, frozenset[str], float] | None:
    """Reference, candidate, what is wrong, what holds it, and its size; None where it fits nowhere."""
    model, make = onnx.load(pair.candidate), MAKERS[maker][1]
    ranges = None if own else folder / f"{pair.name}.json"
    try:
        if kind in BYTES:
            made = make(model, pair.image, folder, ranges)
            found = byte_faults(onnx.load(pair.candidate), made, pair.image, seed, kind)
            return found and (pair.candidate, found.model, found.text, found.outputs, found.rel_l2)
        if kind in FACTORS:
            found = range_faults(model, pair.image, seed, kind)
            if found is None:
                return None
            reference = save(found.model, folder / "reference.onnx")
            made = make(copied(found.model), pair.image, folder, None)
            return reference, made, found.text, found.outputs, found.rel_l2
        broken, fault = injector.plant(seed, kind)
        seen = visible(model, broken, fault, {injector.view.inputs[0].name: pair.image})
        names = frozenset([fault.node, *fault.outputs]) | behind(model, fault)
        return pair.candidate, make(broken, pair.image, folder, ranges), str(fault), names, seen.rel_l2
    except Exception:
        return None


def faulty(
    pair: Pair,
    maker: str,
    injector: Injector,
    kind: str,
    seed: int,
    folder: Path,
    *,
    own: bool = False,
    sick: frozenset[str] = frozenset(),
) -> Record | None:
    """One fault; None where it fits nowhere, or the converter does not take the file. ``sick`` are values at
    which the file errs without it."""
    case = planted(pair, maker, injector, kind, seed, folder, own=own)
    if case is None:
        return None
    reference, made, text, names, size = case
    arithmetic = MAKERS[maker][0]
    onnx.save(made, folder / "made.onnx")
    start = time.perf_counter()
    record: Record = {
        "key": f"{pair.name} {maker} {kind} {seed}",
        "sweep": "fault",
        "maker": maker,
        "pair": pair.name,
        "kind": kind,
        "fault": text,
        "arithmetic": arithmetic,
        "rel_l2": size,
        "large": bool(size > LARGE[arithmetic]),
    }
    try:
        report = segdiff.locate(reference, folder / "made.onnx", pair.image, deployed=False)
    except SegdiffError as error:
        return {**record, "outcome": "error", "said": str(error)[:300]}
    right = [origin for origin in report.origins if holds(origin, names)]
    found = right[0] if right else None
    return {
        **record,
        "outcome": outcome(report, found, large=record["large"], sick=sick),
        "found": origin_facts(found) if found else None,
        "extra": [
            origin_facts(origin)
            for origin in report.origins
            if origin not in right and origin.pair.candidate not in sick
        ],
        "said": report.sentence,
        "seconds": round(time.perf_counter() - start, 1),
    }


def outcome(report: Any, found: Any, *, large: bool, sick: frozenset[str] = frozenset()) -> str:
    """``hit``; ``within``, which is too small to be told from rounding, and not told; else what is wrong."""
    if report.verdict == "inconclusive":
        return "unsure"
    if found is not None:
        return "hit"
    if any(origin.pair.candidate not in sick for origin in report.origins):
        return "wrong"
    return "silent" if large else "within"


def small(folder: Path, count: int = 4) -> list[Pair]:
    """Small segmentation networks, ``small-0`` and so on, each against itself."""
    found = []
    for seed in range(count):
        file = save(segmenter(seed, (1, 3, 32, 48)), folder / f"small-{seed}.onnx")
        found.append(Pair(f"small-{seed}", file, file, shape=(1, 3, 32, 48)))
    return found


def cases(pair: Pair, makers: list[str], log: Log, count: int) -> Iterator[tuple[str, Injector, str, int]]:
    """Makers, kinds and seeds: every third a fault of the numbers themselves."""
    injector = Injector(onnx.load(pair.candidate), {"": pair.image.shape})
    fitting = [kind for kind in KINDS if injector.eligible(kind)]
    random = np.random.default_rng(zlib.crc32(pair.name.encode()))
    for number in range(count):
        maker = makers[number % len(makers)]
        of_numbers = list(FACTORS) if MAKERS[maker][0] == "float16" else list(BYTES)
        drawn = fitting if number % 3 else of_numbers
        kind = drawn[int(random.integers(len(drawn)))]
        if f"{pair.name} {maker} {kind} {number}" not in log:
            yield maker, injector, kind, number


def line(record: Record) -> str:
    """A case in one line."""
    bad = record["outcome"] not in ("agrees", "hit", "within", "not made") or record.get("extra")
    found = record.get("found") or {}
    cause = f" {found.get('cause')}{'' if found.get('proven') else '?'}" if found else ""
    others = (record.get("extra") or [])[:3]
    extra = "; ".join(f"{o['candidate']} {o['rel_l2'] or 0:.2g} {o['cause']}" for o in others)
    return (
        f"{'LOOK' if bad else 'ok  '} {record['outcome']} {record['key']} "
        f"({record.get('rel_l2', 0):.2g}, {record.get('seconds', 0)} s){cause} {extra} "
        f"{record.get('said', '')[:160] if bad else ''}"
    )


def table(log: Log) -> str:
    """What came of it, by arithmetic."""
    lines = []
    for arithmetic in LARGE:
        right = [r for r in log.of(sweep="healthy") if r.get("arithmetic") == arithmetic]
        wrong = log.of(sweep="fault", arithmetic=arithmetic)
        agree = sum(r["outcome"] == "agrees" for r in right)
        large = [r for r in wrong if r["large"]]
        lines += [
            f"{arithmetic}: healthy files {len(right)}, agree {agree}",
            f"  faults {len(wrong)}: {dict(Counter(r['outcome'] for r in wrong))}",
            f"  larger than the rounding {len(large)}: {dict(Counter(r['outcome'] for r in large))}",
            f"  with another origin besides: {sum(bool(r.get('extra')) for r in wrong)}",
            f"  cause proven: {sum(bool(r.get('found') and r['found']['proven']) for r in wrong)}",
        ]
    return "\n".join(lines)


def is_made(log: Log, pair: Pair, maker: str, *, sick: bool) -> bool:
    """Whether faults may be planted in what a maker writes: it agrees, or, if asked, errs at known places."""
    found = log.records.get(f"{pair.name} {maker} healthy", {})
    return found.get("outcome") == "agrees" or (sick and bool(found.get("extra")))


def values_of(log: Log, pair: Pair, maker: str) -> frozenset[str]:
    """The candidate's values at which a file errs with no fault planted."""
    record = log.records.get(f"{pair.name} {maker} healthy", {})
    return frozenset([*(each["value"][1] for each in record.get("extra", [])), *record.get("coarse", [])])


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.precision", description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["small-*", "rapidocr-*"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="faults in each pair")
    parser.add_argument("--makers", nargs="+", default=list(MAKERS))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--sick", action="store_true", help="plant in files that err already, too")
    parser.add_argument("--own-ranges", action="store_true", help="calibrate on the faulty network")
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    makers = [maker for maker in MAKERS if any(fnmatch.fnmatch(maker, wanted) for wanted in args.makers)]
    with tempfile.TemporaryDirectory() as folder:
        chosen = [p for p in small(Path(folder)) if any(fnmatch.fnmatch(p.name, w) for w in args.patterns)]
        for pair in chosen + pairs(args.patterns):
            for maker in makers:
                if f"{pair.name} {maker} healthy" not in log and time.monotonic() < end:
                    log.add(record := healthy(pair, maker, Path(folder)))
                    print(line(record), flush=True)
            good = [m for m in makers if is_made(log, pair, m, sick=args.sick)]
            for maker, injector, kind, seed in cases(pair, good, log, args.count) if good else ():
                if time.monotonic() > end:
                    break
                try:
                    sick = values_of(log, pair, maker)
                    found = faulty(
                        pair, maker, injector, kind, seed, Path(folder), own=args.own_ranges, sick=sick
                    )
                except NoEligibleNode:
                    continue
                if found is not None:
                    log.add(found)
                    print(line(found), flush=True)
    print(table(log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Do repairs ever do harm? Faulty files of every kind, repaired, run by onnxruntime, and located again.

``python -m tests.sweeps.repairs [PATTERN ...] --out FILE [--sources NAME ...]``; a pattern fits names of
pairs, or of changes of the outputs. The sources are single and double planted faults (``fault``), those in
float16 and int8 files (``precision``), and changes of the outputs (``outputs``). What ``repair`` has written
must be no farther from the reference than the file it was made of, by a run outside segdiff; and where it
says that the repaired file agrees, ``locate`` must say so, too. Of two faults each is also repaired alone:
does the report's order by weight hold?
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from segdiff.core.answer import Report
from segdiff.core.edit import Edit, apply, merged
from segdiff.core.errors import RepairError, SegdiffError
from segdiff.core.graph import Array
from segdiff.core.metrics import compare_arrays
from segdiff.finding.idle import WORSE
from segdiff.finding.repair import NOTHING
from tests.sweeps.bench import short
from tests.sweeps.log import Log, Record
from tests.sweeps.repair_cases import SOURCES, Faulty

LEVEL = 4.0
"""How many times the healthy pair's own output error the repaired one may have: both are rounding, which a
weight in another last bit rolls anew."""

NO_DIFFERENCE = 1e-3
"""Shares of the final error that are this close count as the same."""

ROUNDING = 2.0**-20

GOOD = ("repaired", "partly", "nothing to repair", "agrees", "refused", "not read")


def case(faulty: Faulty, folder: Path) -> Record:
    """Diagnose, repair, run outside segdiff, diagnose again."""
    record: Record = {"key": faulty.key, "sweep": faulty.source, "pair": faulty.pair, "kind": faulty.kind}
    file, mended = folder / "model.onnx", folder / "mended.onnx"
    onnx.save(faulty.model, file)
    mended.unlink(missing_ok=True)
    start = time.perf_counter()
    report = faulty.diagnose(file)
    causes = [origin.cause for origin in report.origins]
    record |= {"verdict": report.verdict, "said": report.sentence}
    record["causes"] = [f"{c.kind}{'' if c.proven else '?'}{'' if c.edits else '-'}" for c in causes if c]
    record["before"] = distance(faulty.truth, outputs_of(faulty.model, faulty.image))
    if report.verdict != "diverges":
        return {**record, "outcome": report.verdict}
    record |= weights(report, faulty)
    try:
        repaired = report.repair(mended)
    except RepairError as error:
        return {**record, "outcome": "nothing to repair", "said": short(error)}
    model = onnx.load(mended)
    record["after"] = distance(faulty.truth, outputs_of(model, faulty.image))
    record["seconds"] = round(time.perf_counter() - start, 2)
    record["changes"] = [cause.kind for cause in repaired.changes]
    after = faulty.diagnose(mended)
    edits = merged(edit for cause in repaired.changes for edit in cause.edits)
    if faulty.healthy is not None:
        record["other attributes"] = [
            e.output for e in edits if not same_attributes(e, faulty.healthy, model)
        ]
    return {**record, "outcome": outcome(record, repaired.agrees, after), "then": after.sentence}


def outcome(record: Record, claimed: bool, after: Report) -> str:
    """``repaired``, ``partly``, or what is wrong: ``worse``, ``claimed`` (it says that it agrees, and does
    not), ``not said`` (the other way round)."""
    before, error = record["before"], record["after"]
    if error > before * (1 + WORSE) + NOTHING:
        return "worse"
    if claimed != (after.verdict == "agrees"):
        return "claimed" if claimed else "not said"
    return "repaired" if claimed else "partly"


def weights(report: Report, faulty: Faulty) -> Record:
    """Of two weighed origins: the error each takes away by the report, and in truth (a run of the model with
    this one repaired, against the reference), and whether the orders agree."""
    weighed = [o for o in report.origins if o.effect and o.cause and o.cause.proven and o.cause.edits]
    if len(report.origins) != 2 or len(weighed) != 2:
        return {}
    before = distance(faulty.truth, outputs_of(faulty.model, faulty.image))
    told, seen = [], []
    for origin in weighed:
        mended = onnx.ModelProto()
        mended.CopyFrom(faulty.model)
        assert origin.cause and origin.effect
        apply(mended, merged(origin.cause.edits))
        told.append(origin.effect.final_error_removed)
        now = distance(faulty.truth, outputs_of(mended, faulty.image))
        seen.append(1 - now / before if before else 0.0)
    tie = abs(seen[0] - seen[1]) < NO_DIFFERENCE
    return {"told": told, "seen": seen, "order": "tie" if tie else (told[0] > told[1]) == (seen[0] > seen[1])}


def outputs_of(model: onnx.ModelProto, image: Array) -> list[Array]:
    """What onnxruntime makes of the image, as written; nothing where it refuses the file."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        first = session.get_inputs()[0]
        half = "float16" in first.type
        return list(session.run(None, {first.name: image.astype(np.float16) if half else image}))
    except Exception:  # onnxruntime has no common base for its errors
        return []


def distance(truth: list[Array], got: list[Array]) -> float:
    """The relative errors of all outputs by their place, as one number; a lost or added one counts 1."""
    errors = []
    for place in range(max(len(truth), len(got))):
        if place >= len(truth) or place >= len(got):
            errors.append(1.0)
            continue
        found = compare_arrays(truth[place], got[place])
        kinds = {(each.dtype.kind == "f", each.shape) for each in (truth[place], got[place])}
        error = found.changed if found.discrete else found.metrics.rel_l2
        errors.append(1.0 if found.mismatch or len(kinds) > 1 or not np.isfinite(error) else error)
    return float(np.hypot.reduce(errors)) if errors else 0.0


def same_attributes(edit: Edit, healthy: onnx.ModelProto, repaired: onnx.ModelProto) -> bool:
    """Whether the attributes that an edit set are those of the healthy file; nodes put in have none.

    A number that JSON or a converter rounds is the same within float32 rounding.
    """
    if edit.nodes or not edit.attributes:
        return True
    ours, theirs = (node_of(model, edit.output) for model in (healthy, repaired))
    if ours is None or theirs is None or ours.op_type != theirs.op_type:
        return True
    return all(equal(value_of(ours, name), value_of(theirs, name)) for name in edit.attributes)


def node_of(model: onnx.ModelProto, output: str) -> onnx.NodeProto | None:
    """The node that writes a tensor."""
    return next((node for node in model.graph.node if output in node.output), None)


def value_of(node: onnx.NodeProto, name: str) -> object:
    """An attribute's value, or the default that the operator's schema gives it."""
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    if not onnx.defs.has(node.op_type, node.domain):
        return None
    default = onnx.defs.get_schema(node.op_type, domain=node.domain).attributes.get(name)
    value = default.default_value if default else None
    return helper.get_attribute_value(value) if value is not None and value.type else None


def equal(one: object, other: object) -> bool:
    """Whether two attribute values are the same."""
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-6, atol=0))
    return one == other or one is None or other is None or (one, other) in ((-1, 3), (3, -1))


def line(record: Record) -> str:
    """A case in one line."""
    look = record["outcome"] not in GOOD or record.get("other attributes")
    errors = f"{record['before']:.2g} -> {record['after']:.2g}" if "after" in record else ""
    said = f"{record.get('said', '')[:200]} => {record.get('then', '')[:200]}" if look else ""
    mark = "LOOK" if look else "ok  "
    return f"{mark} {record['outcome']}: {record['key']} {errors} {record.get('causes', '')} {said}"


def summary(log: Log) -> str:
    """Counts by source, then what deserves a look."""
    lines = []
    for source in SOURCES:
        here = log.of(sweep=source)
        lines.append(f"{source}: {len(here)}: {dict(Counter(r['outcome'] for r in here))}")
    orders = Counter(str(r["order"]) for r in log.records.values() if "order" in r)
    lines.append(f"the heavier of two origins by the report is the heavier in truth: {dict(orders)}")
    written = [r for r in log.records.values() if "after" in r]
    worse = sum(r["outcome"] == "worse" for r in written)
    lines.append(f"files written: {len(written)}; with a larger final error than before: {worse}")
    return "\n".join([*lines, *(text for r in log.records.values() if (text := line(r)).startswith("LOOK"))])


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped; 1 where a repair does harm or claims too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.repairs", description=__doc__)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument("--singles", type=int, default=3, help="single faults in each pair")
    parser.add_argument("--doubles", type=int, default=2, help="couples of faults in each pair")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no case after that time")
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    for source in args.sources:
        with tempfile.TemporaryDirectory() as folder:
            made = SOURCES[source](args.patterns, log, args.singles, args.doubles, Path(folder))
            for faulty in made:
                if time.monotonic() > end:
                    break
                try:
                    record = case(faulty, Path(folder))
                except SegdiffError as error:
                    record = {"key": faulty.key, "sweep": source, "pair": faulty.pair, "kind": faulty.kind}
                    record |= {"outcome": "refused", "said": short(error)}
                except Exception as error:  # a case that breaks the harness is a result, too
                    record = {"key": faulty.key, "sweep": source, "pair": faulty.pair, "kind": faulty.kind}
                    record |= {"outcome": "broke", "said": short(error)}
                log.add(record)
                print(line(record), flush=True)
    print(found := summary(log))
    return int("LOOK" in found)


if __name__ == "__main__":
    sys.exit(main())

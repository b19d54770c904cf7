"""Single and double faults: do the proven changes bring the healthy model back?

``python -m tests.sweeps.repairs --out FILE [PATTERN ...]``; a pattern fits names of pairs. Each faulty model
whose causes are all proven is repaired; the repaired file is diagnosed once more, its output error compared
with the healthy conversion's own, and its changed attributes with the healthy file's. Of two faults each is
also repaired alone, and the model run by onnxruntime itself: does the report's order by weight hold?
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from segdiff.core.answer import Report
from segdiff.core.edit import Edit, apply, merged
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from segdiff.core.metrics import compare_arrays
from tests.faults import Injector, NoEligibleNode
from tests.sweeps.bench import Bench, short
from tests.sweeps.faults import Planter
from tests.sweeps.log import Log, Record
from tests.sweeps.pairs import Pair, pairs
from tests.sweeps.two_faults import both, couples, pool

LEVEL = 4.0
"""How many times the healthy pair's own output error the repaired one may have: both are rounding, which a
weight in another last bit rolls anew."""

NO_DIFFERENCE = 1e-3
"""Shares of the final error that are this close count as the same."""

Planted = tuple[str, onnx.ModelProto]


def planted(planter: Planter, singles: int, doubles: int) -> Iterator[Planted]:
    """Faulty models with the words that say what is wrong with each."""
    for kind, seed in planter.cases(singles):
        try:
            faulty, fault = planter.injector.plant(seed, kind)
        except NoEligibleNode:
            planter.barren.add(kind)
            continue
        yield f"{planter.pair.name} {fault.kind} {seed}", faulty
    injector: Injector = planter.injector
    for first, second in couples(injector, pool(planter.pair, planter.model, injector), doubles):
        key = f"{planter.pair.name} {first[1].kind} + {second[1].kind}"
        yield key, both(planter.model, first[0], second[0])


def case(
    bench: Bench, planter: Planter, key: str, faulty: onnx.ModelProto, own: float, folder: Path
) -> Record:
    """Diagnose, repair, diagnose again."""
    record: Record = {"key": key, "sweep": "fault", "pair": bench.pair.name, "kind": key.split()[1]}
    file = folder / "model.onnx"
    onnx.save(faulty, file)
    report = bench.diagnose(file)
    causes = [origin.cause for origin in report.origins]
    record |= {"origins": len(causes), "causes": [cause.kind if cause else None for cause in causes]}
    if not causes:
        return {**record, "outcome": "nothing found"}
    if not all(cause and cause.proven for cause in causes):
        return {**record, "outcome": "not all proven"}
    record |= weights(report, planter.model, faulty, bench.pair)
    edits = merged(edit for cause in causes if cause for edit in cause.edits)
    apply(faulty, edits)
    onnx.save(faulty, file)
    after = bench.diagnose(file)
    wrong = [edit.output for edit in edits if not same_attributes(edit, planter.model, faulty)]
    good = after.verdict == "agrees" and final_error(after) <= max(LEVEL * own, 2.0**-20)
    return {
        **record,
        "outcome": "repaired" if good and not wrong else "not repaired",
        "said": after.sentence,
        "before": final_error(report),
        "after": final_error(after),
        "own": own,
        "other attributes": wrong,
    }


def weights(report: Report, healthy: onnx.ModelProto, faulty: onnx.ModelProto, pair: Pair) -> Record:
    """Of two weighed origins: the error each takes away by the report, and in truth (a run of the model with
    this one repaired, against the healthy conversion), and whether the orders agree."""
    weighed = [origin for origin in report.origins if origin.effect and origin.cause]
    if len(report.origins) != 2 or len(weighed) != 2:
        return {}
    truth = outputs_of(healthy, pair)
    before = distance(truth, outputs_of(faulty, pair))
    told, seen = [], []
    for origin in weighed:
        mended = onnx.ModelProto()
        mended.CopyFrom(faulty)
        assert origin.cause and origin.effect
        apply(mended, merged(origin.cause.edits))
        told.append(origin.effect.final_error_removed)
        seen.append(1 - distance(truth, outputs_of(mended, pair)) / before if before else 0.0)
    tie = abs(seen[0] - seen[1]) < NO_DIFFERENCE
    return {"told": told, "seen": seen, "order": "tie" if tie else ordered(told) == ordered(seen)}


def ordered(values: list[float]) -> bool:
    """Whether the first is the larger."""
    return values[0] > values[1]


def outputs_of(model: onnx.ModelProto, pair: Pair) -> list[Array]:
    """What onnxruntime makes of the pair's image."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: pair.image}))


def distance(truth: list[Array], got: list[Array]) -> float:
    """The relative errors of all outputs, as one number."""
    errors = [compare_arrays(a, b) for a, b in zip(truth, got, strict=True)]
    return float(np.hypot.reduce([1.0 if each.mismatch else each.metrics.rel_l2 for each in errors]))


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
    return one == other or one is None or other is None


def final_error(report: Report) -> float:
    """The largest relative error of an output."""
    found = [output.cumulative.metrics.rel_l2 for output in report.outputs if output.cumulative]
    return max(found, default=0.0)


def sweep(pair: Pair, log: Log, singles: int, doubles: int) -> None:
    """All the repairs of one pair."""
    with Bench(pair) as bench, tempfile.TemporaryDirectory() as folder:
        healthy = bench.diagnose(pair.candidate)
        if healthy.verdict != "agrees":
            return
        planter = Planter(pair, log)
        for key, faulty in planted(planter, singles, doubles):
            if key in log:
                continue
            try:
                record = case(bench, planter, key, faulty, final_error(healthy), Path(folder))
            except Exception as error:  # a case that breaks the harness is a result, too
                record = {"key": key, "sweep": "fault", "pair": pair.name, "kind": key.split()[1]}
                record |= {"outcome": "broke", "said": short(error)}
            log.add(record)
            print(line(record), flush=True)


def line(record: Record) -> str:
    """A case in one line."""
    mark = "LOOK" if record["outcome"] in ("not repaired", "broke") else "ok  "
    errors = f"{record['before']:.2g} -> {record['after']:.2g}" if "after" in record else ""
    return f"{mark} {record['outcome']}: {record['key']} {errors} {record.get('causes', '')}"


def summary(log: Log) -> str:
    """Counts of single and of double faults, then what deserves a look."""
    records = log.of(sweep="fault")
    lines = []
    for words, here in (
        ("single", [r for r in records if " + " not in r["key"]]),
        ("double", [r for r in records if " + " in r["key"]]),
    ):
        lines.append(f"{words} faults: {len(here)}: {dict(Counter(r['outcome'] for r in here))}")
    orders = Counter(str(r["order"]) for r in records if "order" in r)
    lines.append(f"the heavier of two origins by the report is the heavier in truth: {dict(orders)}")
    return "\n".join([*lines, *(line(r) for r in records if r["outcome"] in ("not repaired", "broke"))])


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.repairs", description=__doc__)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--singles", type=int, default=3, help="single faults in each pair")
    parser.add_argument("--doubles", type=int, default=2, help="couples of faults in each pair")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no pair after that time")
    args = parser.parse_args(argv)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    for pair in pairs(args.patterns):
        if time.monotonic() > end:
            break
        try:
            sweep(pair, log, args.singles, args.doubles)
        except SegdiffError as error:
            print(f"{pair.name}: {short(error)}", flush=True)
    print(summary(log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

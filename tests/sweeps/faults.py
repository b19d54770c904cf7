"""One planted fault at a time: is the operator found, and only that one?

``python -m tests.sweeps.faults --out FILE [PATTERN ...]``; a pattern fits names of pairs (``SINet-64x96-*``).
To plant one of the cases again::

    python -m tests.faults MODEL.onnx --kind KIND --seed SEED --shape =1,3,64,96 -o faulty.onnx
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx

from segdiff.core.errors import SegdiffError
from tests.faults import KINDS, Injector, NoEligibleNode, visible
from tests.sweeps.bench import Bench, short
from tests.sweeps.log import Log, Record, percentile
from tests.sweeps.outcome import GOOD, Truth, origin_facts, outcome, width
from tests.sweeps.pairs import Pair, pairs


class Planter:
    """Plants faults in one candidate: every kind once before any comes twice, those seen least first."""

    def __init__(self, pair: Pair, log: Log, kinds: tuple[str, ...] = ("*",)) -> None:
        self.pair = pair
        self.kinds = [kind for kind in KINDS if any(fnmatch.fnmatch(kind, wanted) for wanted in kinds)]
        self.log = log
        self.model = onnx.load(pair.candidate)
        self.injector = Injector(self.model, {"": pair.image.shape})
        self.input = self.injector.view.inputs[0].name
        self.barren: set[str] = set()

    def cases(self, count: int) -> Iterator[tuple[str, int]]:
        """Kinds and seeds, until the log holds ``count`` faults of this pair."""
        while len(self.log.of(pair=self.pair.name, sweep="fault")) < count:
            kind = self._rarest()
            if kind is None:
                return
            yield kind, len(self.log.of(pair=self.pair.name, kind=kind))

    def _rarest(self) -> str | None:
        here = Counter(r["kind"] for r in self.log.of(pair=self.pair.name, sweep="fault"))
        everywhere = Counter(r["kind"] for r in self.log.of(sweep="fault"))
        fitting = [kind for kind in self.kinds if kind not in self.barren]
        shuffled = sorted(fitting, key=lambda kind: zlib.crc32(f"{self.pair.name} {kind}".encode()))
        return min(shuffled, key=lambda kind: (here[kind], everywhere[kind]), default=None)


def case(planter: Planter, bench: Bench, kind: str, seed: int, folder: Path) -> Record | None:
    """Plant, diagnose, compare; None where this kind fits no node of the model."""
    try:
        faulty, fault = planter.injector.plant(seed, kind)
    except NoEligibleNode:
        planter.barren.add(kind)
        return None
    seen = visible(planter.model, faulty, fault, {planter.input: planter.pair.image})
    file = folder / "faulty.onnx"
    onnx.save(faulty, file)
    record: Record = {
        "key": f"{planter.pair.name} {kind} {seed}",
        "sweep": "fault",
        "pair": planter.pair.name,
        "kind": kind,
        "seed": seed,
        "fault": str(fault),
        "outputs": fault.outputs,
        "level": seen.level,
        "rel_max": seen.rel_max,
    }
    start = time.perf_counter()
    try:
        report = bench.diagnose(file)
    except SegdiffError as error:
        return {**record, "outcome": "error", "said": short(error)}
    truth = Truth(file)
    place = truth.place(fault, report.origins)
    found = report.origins[place] if place is not None else None
    return {
        **record,
        "outcome": outcome(report, place, seen.level),
        "held_by": truth.held_by(fault, found) if found else "",
        "extra": [origin_facts(o) for n, o in enumerate(report.origins) if n != place],
        "found": origin_facts(found) if found else None,
        "width": width(found) if found else None,
        "coverage": report.coverage,
        "said": report.sentence,
        "remarks": report.remarks,
        "seconds": round(time.perf_counter() - start, 2),
    }


def healthy(bench: Bench, pair: Pair, log: Log) -> bool:
    """Whether the unharmed conversion agrees; nothing can be said of faults in another."""
    key = f"{pair.name} healthy"
    if key not in log:
        try:
            report = bench.diagnose(pair.candidate)
            record = {"outcome": report.verdict, "said": report.sentence, "coverage": report.coverage}
        except SegdiffError as error:
            record = {"outcome": "error", "said": short(error)}
        log.add({"key": key, "sweep": "healthy", "pair": pair.name, **record})
        print(f"{pair.name}: {log.records[key]['outcome']}: {log.records[key]['said']}", flush=True)
    return bool(log.records[key]["outcome"] == "agrees")


def sweep(
    pair: Pair, log: Log, count: int, kinds: tuple[str, ...] = ("*",), *, full_walk: bool = False
) -> None:
    """All the faults of one pair."""
    with Bench(pair, full_walk=full_walk) as bench, tempfile.TemporaryDirectory() as folder:
        if not healthy(bench, pair, log):
            return
        planter = Planter(pair, log, kinds)
        for kind, seed in planter.cases(count):
            try:
                record = case(planter, bench, kind, seed, Path(folder))
            except Exception as error:  # a case that breaks the harness is a result, too
                record = {"key": f"{pair.name} {kind} {seed}", "sweep": "fault", "pair": pair.name}
                record |= {"kind": kind, "seed": seed, "level": "?", "outcome": "broke", "said": short(error)}
            if record is not None:
                log.add(record)
                print(line(record), flush=True)


def needs_a_look(record: Record) -> bool:
    """Whether a case did not end as it should."""
    return record["outcome"] not in GOOD or bool(record.get("extra"))


def line(record: Record) -> str:
    """A case in one line."""
    mark = "LOOK" if needs_a_look(record) else "ok  "
    extra = f", {len(record['extra'])} more" if record.get("extra") else ""
    words = f"{mark} {record['outcome']}{extra}: {record['pair']} {record['kind']} {record['seed']}"
    found = record.get("found") or {}
    cause = (
        f"{found.get('cause')}{'' if found.get('proven') else '?'}: {found.get('because')}" if found else ""
    )
    said = cause or record.get("said", "")
    return f"{words} ({record['level']}, {record.get('seconds', 0)} s) {said[:150]}"


def causes(records: list[Record]) -> list[str]:
    """How often the planted kind was named and proven, and what was said instead."""
    told = [r for r in records if r["level"] == "visible" and r.get("found") and "cause" in r["found"]]
    named = sum(r["found"]["cause"] == r["kind"] for r in told)
    proven = sum(r["found"]["proven"] for r in told)
    wrong = sum(r["found"]["proven"] and r["found"]["cause"] != r["kind"] for r in told)
    lines = [f"causes of {len(told)} visible faults: named {named}, proven {proven}, proven another {wrong}"]
    rows = Counter((r["kind"], f"{r['found']['cause']}{'' if r['found']['proven'] else '?'}") for r in told)
    lines += [
        f"    {kind} -> {cause}: {count}" for (kind, cause), count in sorted(rows.items()) if kind != cause
    ]
    return lines


def summary(log: Log) -> str:
    """Counts by level and outcome, widths, and what deserves a look."""
    records = log.of(sweep="fault")
    states = Counter(r["outcome"] for r in log.of(sweep="healthy"))
    lines = [f"pairs: {dict(states)}; faults: {len(records)} of {len({r['kind'] for r in records})} kinds"]
    for level in ("visible", "borderline", "invisible", "?"):
        here = [r for r in records if r["level"] == level]
        extra = sum(bool(r.get("extra")) and r["outcome"] == "hit" for r in here)
        lines.append(
            f"{level}: {dict(Counter(r['outcome'] for r in here))}, hits with extra origins: {extra}"
        )
    held = Counter(r["held_by"] for r in records if r.get("held_by"))
    lines.append(f"held by (see tests.sweeps.outcome): {dict(held)}")
    for side, name in enumerate(("reference", "candidate")):
        widths = [r["width"][side] for r in records if r["level"] == "visible" and r.get("width")]
        lines.append(f"{name} ops blamed: median {percentile(widths, 0.5)}, p95 {percentile(widths, 0.95)}")
    lines += causes(records)
    bad = [r for r in records if needs_a_look(r)]
    by_kind = Counter(r["kind"] for r in bad)
    for kind, number in by_kind.most_common():
        lines.append(f"{kind}: {number} of {sum(r['kind'] == kind for r in records)}")
        lines += [f"    {line(r)}" for r in bad if r["kind"] == kind]
    return "\n".join(lines)


def differing(log: Log, other: Log) -> list[str]:
    """The cases of both that ended otherwise, or were told another operator or cause."""
    both = [(record, other.records[key]) for key, record in log.records.items() if key in other]
    apart = [(ours, theirs) for ours, theirs in both if answer(ours) != answer(theirs)]
    lines = [f"{len(both)} cases of both, {len(apart)} told otherwise"]
    for ours, theirs in apart:
        lines += [f"    {ours['key']}: {answer(ours)}", f"        there {answer(theirs)}"]
    return lines


def answer(record: Record) -> tuple[object, ...]:
    """What a case says, without its numbers."""
    origins = [record.get("found"), *record.get("extra", ())]
    facts = ("reference", "candidate", "value", "confirmed", "cause", "proven")
    told = [tuple(str(each.get(name)) for name in facts) for each in origins if each]
    return record["outcome"], *told


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.faults", description=__doc__)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="faults in each pair")
    parser.add_argument("--kinds", nargs="+", default=["*"], help="only kinds that fit one of these patterns")
    parser.add_argument("--full-walk", action="store_true", help="every tensor of the candidate's own")
    parser.add_argument("--against", type=Path, metavar="FILE", help="tell what differs from this --out")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no pair after that time")
    args = parser.parse_args(argv)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    for pair in pairs(args.patterns):
        if time.monotonic() < end:
            try:
                sweep(pair, log, args.count, tuple(args.kinds), full_walk=args.full_walk)
            except SegdiffError as error:
                print(f"{pair.name}: {short(error)}", flush=True)
    print(summary(log))
    if args.against:
        print("\n".join(differing(log, Log(args.against))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Two planted faults, one behind the other: are both operators found, and no third?

``python -m tests.sweeps.two_faults --out FILE [PATTERN ...]``; a pattern fits names of pairs.
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

from segdiff.core.errors import SegdiffError
from tests.faults import KINDS, Fault, Injector, NoEligibleNode, visible
from tests.sweeps.bench import Bench, short
from tests.sweeps.faults import healthy
from tests.sweeps.log import Log, Record
from tests.sweeps.outcome import Truth, origin_facts
from tests.sweeps.pairs import Pair, pairs

POOL = 10
"""Faults planted in a model, from which the pairs are drawn."""

Planted = tuple[onnx.ModelProto, Fault]


def pool(pair: Pair, model: onnx.ModelProto, injector: Injector) -> list[Planted]:
    """Visible faults at different nodes that leave every shape alone."""
    words = sorted(word for word, kind in KINDS.items() if kind.keeps_shape)
    image = {injector.view.inputs[0].name: pair.image}
    found: dict[int, Planted] = {}
    for seed, place in enumerate(np.random.default_rng(len(pair.name)).permutation(len(words))):
        try:
            faulty, fault = injector.plant(seed, words[place])
        except NoEligibleNode:
            continue
        if visible(model, faulty, fault, image).visible:
            found.setdefault(fault.index, (faulty, fault))
        if len(found) == POOL:
            break
    return [found[index] for index in sorted(found)]


def couples(injector: Injector, planted: list[Planted], count: int) -> Iterator[tuple[Planted, Planted]]:
    """Up to ``count`` pairs of faults with the second downstream of the first."""
    all_of_them = [
        (first, second)
        for second in planted
        for first in planted
        if first[1].index in injector.view.ancestors(second[1].outputs) and first is not second
    ]
    order = np.random.default_rng(len(all_of_them)).permutation(len(all_of_them))
    yield from (all_of_them[place] for place in order[:count])


def both(healthy_model: onnx.ModelProto, first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """The first faulty model with what the second changes."""
    model = onnx.ModelProto()
    model.CopyFrom(first)
    for number, (before, after) in enumerate(zip(healthy_model.graph.node, second.graph.node, strict=True)):
        if before != after:
            model.graph.node[number].CopyFrom(after)
    had = {tensor.name: tensor for tensor in healthy_model.graph.initializer}
    place = {tensor.name: number for number, tensor in enumerate(model.graph.initializer)}
    for tensor in second.graph.initializer:
        if tensor.name not in place:
            model.graph.initializer.append(tensor)
        elif tensor.name not in had or tensor != had[tensor.name]:
            model.graph.initializer[place[tensor.name]].CopyFrom(tensor)
    return model


def case(bench: Bench, file: Path, key: str, faults: tuple[Fault, Fault]) -> Record:
    """Diagnose one couple."""
    record: Record = {
        "key": key,
        "sweep": "couple",
        "pair": bench.pair.name,
        "faults": [str(fault) for fault in faults],
    }
    start = time.perf_counter()
    try:
        report = bench.diagnose(file)
    except SegdiffError as error:
        return {**record, "outcome": "error", "said": short(error)}
    truth = Truth(file)
    places = [truth.place(fault, report.origins) for fault in faults]
    held = {place for place in places if place is not None}
    return {
        **record,
        "outcome": outcome(places),
        "extra": [origin_facts(o) for n, o in enumerate(report.origins) if n not in held],
        "found": [origin_facts(report.origins[n]) for n in sorted(held)],
        "verdict": report.verdict,
        "said": report.sentence,
        "seconds": round(time.perf_counter() - start, 2),
    }


def outcome(places: list[int | None]) -> str:
    """``both``, ``one origin for both``, ``only the first``, ``only the second`` or ``none``."""
    first, second = places
    if first is not None and second is not None:
        return "both" if first != second else "one origin for both"
    if first is None and second is None:
        return "none"
    return "only the second" if first is None else "only the first"


def sweep(pair: Pair, log: Log, count: int) -> None:
    """All the couples of one pair."""
    if len(log.of(pair=pair.name, sweep="couple")) >= count:
        return
    with Bench(pair) as bench, tempfile.TemporaryDirectory() as folder:
        if not healthy(bench, pair, log):
            return
        model = onnx.load(pair.candidate)
        injector = Injector(model, {"": pair.image.shape})
        for first, second in couples(injector, pool(pair, model, injector), count):
            key = f"{pair.name} {first[1].kind} {second[1].kind}"
            if key in log:
                continue
            file = Path(folder) / "faulty.onnx"
            onnx.save(both(model, first[0], second[0]), file)
            record = case(bench, file, key, (first[1], second[1]))
            log.add(record)
            print(line(record), flush=True)


def line(record: Record) -> str:
    """A case in one line."""
    good = record["outcome"] == "both" and not record["extra"]
    extra = f", {len(record['extra'])} more" if record.get("extra") else ""
    return f"{'ok  ' if good else 'LOOK'} {record['outcome']}{extra}: {record['key']} {record['said'][:110]}"


def summary(log: Log) -> str:
    """Counts, then what deserves a look."""
    records = log.of(sweep="couple")
    third = sum(bool(r.get("extra")) for r in records)
    lines = [
        f"couples: {len(records)}: {dict(Counter(r['outcome'] for r in records))}, with a third: {third}"
    ]
    bad = [r for r in records if r["outcome"] != "both" or r["extra"]]
    lines += [f"{line(r)}\n    {r['faults']}" for r in bad]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.two_faults", description=__doc__)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4, help="couples in each pair")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no pair after that time")
    args = parser.parse_args(argv)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    for pair in pairs(args.patterns):
        if time.monotonic() > end:
            break
        try:
            sweep(pair, log, args.count)
        except (SegdiffError, NoEligibleNode) as error:
            print(f"{pair.name}: {short(error)}", flush=True)
    print(summary(log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

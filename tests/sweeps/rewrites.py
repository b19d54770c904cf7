"""The same model, written differently: the verdict must stay, and nearly everything must be matched.

``python -m tests.sweeps.rewrites --out FILE [PATTERN ...]``; a pattern fits names of pairs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from segdiff.core.answer import Report
from segdiff.core.errors import SegdiffError
from tests.sweeps.bench import Bench, short
from tests.sweeps.log import Log, Record
from tests.sweeps.outcome import origin_facts
from tests.sweeps.pairs import Pair, pairs
from tests.sweeps.rewriters import REWRITERS, rewritten

LEAST_COVERAGE = 0.9
ORIGINAL = "original"


def judged(bench: Bench, file: Path) -> tuple[Record, Report | None]:
    """What a diagnosis says, as far as this sweep is concerned."""
    start = time.perf_counter()
    try:
        report = bench.diagnose(file)
    except SegdiffError as error:
        return {"verdict": "error", "said": short(error)}, None
    return {
        "verdict": report.verdict,
        "coverage": report.coverage,
        "said": report.sentence,
        "pairs": len(report.pairs),
        "ops": [report.reference.ops, report.candidate.ops],
        "origins": [origin_facts(origin) for origin in report.origins],
        "unmatched": [list(names[:20]) for names in report.unmatched],
        "seconds": round(time.perf_counter() - start, 2),
    }, report


def names_of(bench: Bench, file: Path, report: Report) -> Record:
    """How the alignment stands to the names that both sides share and whose tensors are equal."""
    found = {pair.reference: pair.candidate for pair in report.pairs}
    same, other = bench.shared_names(file)
    source = bench.sources(file)
    right = wrong = missing = 0
    wrongs = []
    for r, c in same.items():
        paired = found.get(source[0](r))
        right += paired == source[1](c)
        missing += paired is None
        if paired not in (None, source[1](c)):
            wrong += 1
            wrongs.append([r, c, paired])
    return {
        "names": {
            "sound": len(same),
            "unsound": len(other),
            "right": right,
            "wrong": wrong,
            "unpaired": missing,
        },
        "wrong_names": wrongs[:20],
    }


def names_or_problem(bench: Bench, file: Path, report: Report) -> Record:
    """As :func:`names_of`; a candidate that cannot run as a whole is a finding of its own."""
    try:
        return names_of(bench, file, report)
    except SegdiffError as error:
        return {"no_names": short(error)}


def cases(bench: Bench, pair: Pair, log: Log, folder: Path) -> None:
    """The original, then every rewriting of it."""
    for name in (ORIGINAL, *REWRITERS):
        key = f"{pair.name} {name}"
        if key in log:
            continue
        file, problem = pair.candidate, None
        if name != ORIGINAL:
            file = folder / f"{name}.onnx"
            problem = rewritten(name, pair.candidate, file)
        record: Record = {"key": key, "pair": pair.name, "rewrite": name}
        if problem is not None:
            record |= {"verdict": "no rewrite", "said": problem}
        else:
            found, report = judged(bench, file)
            record |= found
            if name == ORIGINAL and report is not None:
                record |= names_or_problem(bench, file, report)
        log.add(record)
        print(line(log, record), flush=True)


def good(log: Log, record: Record) -> bool:
    """Whether the verdict is the original's and nearly everything is matched."""
    if record["verdict"] == "no rewrite":
        return True
    original = log.records.get(f"{record['pair']} {ORIGINAL}", {}).get("verdict")
    return record["verdict"] == original != "error" and min(record["coverage"]) >= LEAST_COVERAGE


def line(log: Log, record: Record) -> str:
    """A case in one line."""
    mark = "ok  " if good(log, record) else "LOOK"
    facts = f"{record['verdict']} {record.get('coverage', '')} {record.get('names', '')}"
    return f"{mark} {record['pair']} {record['rewrite']}: {facts} {record['said'][:120]}"


def summary(log: Log) -> str:
    """Counts by rewriter, then what deserves a look."""
    lines = []
    for name in (ORIGINAL, *REWRITERS):
        here = log.of(rewrite=name)
        bad = sum(not good(log, record) for record in here)
        lines.append(f"{name}: {dict(Counter(r['verdict'] for r in here))}, not as they should be: {bad}")
    totals: Counter[str] = Counter()
    for record in log.of(rewrite=ORIGINAL):
        totals.update(record.get("names", {}))
    lines.append(f"names: {dict(totals)}")
    lines += [line(log, record) for record in log.records.values() if not good(log, record)]
    lines += [
        f"{r['pair']} names: {r['wrong_names'][:4]}" for r in log.records.values() if r.get("wrong_names")
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.rewrites", description=__doc__)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no pair after that time")
    args = parser.parse_args(argv)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    for pair in pairs(args.patterns):
        if time.monotonic() > end:
            break
        try:
            with Bench(pair) as bench, tempfile.TemporaryDirectory() as folder:
                cases(bench, pair, log, Path(folder))
        except SegdiffError as error:
            print(f"{pair.name}: {short(error)}", flush=True)
    print(summary(log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Which operators do real converters get wrong, and does segdiff say so? Small programs, judged one by one.

``python -m tests.sweeps.converters --work FOLDER --out FILE [PATTERN ...]`` exports the programs of
``tests.sweeps.operators`` with every Paddle, converts them with every paddle2onnx and opset, and lets segdiff
judge each file. Beside it stand two measurements in which segdiff has no part: how far the ONNX file is from
Paddle, and how far both are from ``tests.sweeps.semantics``, a float64 computation written from Paddle's
documentation. ``FOLDER`` is used again by the next run; patterns fit names of programs.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

import segdiff
from segdiff.core.answer import PairInfo, Report
from segdiff.core.edit import apply
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from segdiff.core.metrics import compare_arrays
from segdiff.readers import find, read
from tests.sweeps import semantics
from tests.sweeps.bench import Bench, short
from tests.sweeps.log import Log, Record
from tests.sweeps.operators import jobs
from tests.sweeps.operators.programs import Program, programs
from tests.sweeps.outcome import origin_facts
from tests.zoo.environments import python_of

SAME = 1e-5
"""Relative error up to which two results are one: small programs round seldom."""

OTHER = 1e-3
"""Relative error from which anybody calls them different."""

GOOD = ("right", "found", "refused", "masked")
"""Outcomes that are as they should be."""

OWN_ROUNDING = "within the segment's own rounding"
"""What ``segdiff.walk.judge`` says of such an error."""


@dataclass(frozen=True)
class Route:
    """Which Paddle exports, and which environment converts."""

    exporter: str
    converter: str
    version: str


ROUTES = (
    Route("p26", "c110", "1.1.0"),
    Route("p26", "c131", "1.3.1"),
    Route("p32", "p32", "2.1.0"),
    Route("p32", "c201", "2.0.1"),
    Route("here", "here", "2.1.0 from this Paddle"),
)
OPSETS = (9, 11, 12, 13, 16, 17)


@dataclass
class Subject:
    """A model and its tensors, as ``Bench`` wants a pair."""

    name: str
    reference: Path
    candidate: Path
    image: Mapping[str, Array]


@dataclass(frozen=True)
class Work:
    """Where exported models and conversions lie."""

    folder: Path
    names: Sequence[str]

    def model(self, route: Route, name: str) -> Path:
        """The folder of an exported program."""
        stem = hashlib.sha1(name.encode()).hexdigest()[:12]
        return self.folder / route.exporter / stem

    def program(self, route: Route, name: str) -> Path | None:
        """The exported file, where there is one."""
        files = (self.model(route, name) / f"model.{suffix}" for suffix in ("pdmodel", "json"))
        return next((file for file in files if file.is_file()), None)

    def onnx(self, route: Route, name: str, opset: int) -> Path:
        """The file of a conversion, and beside it (``.txt``) why there is none."""
        return self.model(route, name) / f"{route.converter}-{opset}.onnx"

    def export(self, route: Route) -> None:
        """Export what is not there yet."""
        left = [(name, self.model(route, name)) for name in self.names]
        left = [(name, folder) for name, folder in left if not folder.is_dir()]
        for _, folder in left:
            folder.mkdir(parents=True)
        if not left:
            return
        module = "sweeps.operators.export"
        for job, reason in jobs.run(
            interpreter(route.exporter), module, [(name, str(folder)) for name, folder in left]
        ):
            (Path(job[1]) / "export.txt").write_text(reason)

    def convert(self, route: Route, opset: int) -> None:
        """Convert what is not there yet."""
        left: list[jobs.Job] = []
        for name in self.names:
            program, target = self.program(route, name), self.onnx(route, name, opset)
            if program is not None and not target.with_suffix(".txt").is_file():
                parameters = program.with_suffix(".pdiparams")
                left.append((name, str(program), str(parameters), str(target), str(opset)))
        if not left:
            return
        for job, reason in jobs.run(interpreter(route.converter), "sweeps.operators.convert", left):
            Path(job[3]).with_suffix(".txt").write_text(reason)


def interpreter(environment: str) -> Path:
    """The Python of an environment."""
    return Path(sys.executable) if environment == "here" else python_of(environment)


class Judge:
    """A bench that changes its reference, too."""

    def __init__(self, first: Subject) -> None:
        self.bench = Bench(first)  # type: ignore[arg-type]

    def turn_to(self, subject: Subject) -> None:
        """Hand the reference's worker another model."""
        bench = self.bench
        if subject.reference == bench.pair.reference:
            return
        bench.pair, bench.files = subject, find(subject.reference)  # type: ignore[assignment]
        bench.graph = read(bench.files)
        if bench.reference.process.poll() is not None:
            bench.reference.close()
            bench.reference = bench._start(bench.files)
        else:
            bench._reload(bench.reference, bench.files)

    def paddle(self) -> list[Array]:
        """The reference's outputs, kept beside the model with what it was fed."""
        bench = self.bench
        kept = bench.pair.reference.with_name("y.npz")
        if kept.is_file():
            return kept_outputs(kept)
        feeds = {name: bench.blocks.tensor(array) for name, array in bench.pair.image.items()}  # type: ignore[attr-defined]
        found = bench.reference.run(feeds, bench.graph.outputs)
        missing = [name for name in bench.graph.outputs if name not in found]
        if missing:
            raise RuntimeError(f"Paddle does not show its output {missing[0]}")
        outputs = [np.array(found[name].array) for name in bench.graph.outputs]
        np.savez(kept, *outputs)
        np.savez(kept.with_name("x.npz"), **bench.pair.image)  # type: ignore[arg-type]
        return outputs


def refused(subject: Subject) -> str:
    """Whether the command says of a file that onnxruntime refuses that it is refused."""
    try:
        report = segdiff.locate(subject.reference, subject.candidate, dict(subject.image), threads=1)
    except SegdiffError as error:
        return f"miss of a refusal ({short(error)})"
    causes = {origin.cause.kind for origin in report.origins if origin.cause}
    told = report.verdict == "diverges" and "runtime.refused" in causes
    return "refused" if told else f"miss of a refusal ({report.sentence})"


def kept_outputs(file: Path) -> list[Array]:
    """What Paddle made of a program."""
    with np.load(file) as arrays:
        return [arrays[name] for name in arrays.files]


def judged(judge: Judge, subject: Subject) -> Record:
    """What segdiff says of a conversion, and how far the file is from Paddle."""
    record: Record = {}
    try:
        judge.turn_to(subject)
        paddle = judge.paddle()
    except (SegdiffError, RuntimeError, ValueError) as error:
        return {"outcome": "does not run", "said": short(error)}
    try:
        onnx = run(subject.candidate, subject.image)
        record |= {"file": str(subject.candidate), "onnx_error": distance(paddle, onnx)}
    except RuntimeError as error:
        return {"outcome": refused(subject), "said": short(error)}
    try:
        report = judge.bench.diagnose(subject.candidate)
    except SegdiffError as error:
        return {**record, "outcome": "error", "said": short(error)}
    if report.origins:
        record["repaired_error"] = repaired(subject, report, paddle)
    word = outcome(report, record["onnx_error"])
    if word == "false alarm" and masked(judge, subject, report):
        word = "masked"
    return {
        **record,
        "outcome": word,
        "said": report.sentence,
        "remarks": report.remarks,
        "origins": [origin_facts(origin) for origin in report.origins],
    }


def repaired(subject: Subject, report: Report, paddle: Sequence[Array]) -> float | None:
    """How far the file is from Paddle with every proven change; None where there is none, or it is refused.

    The changed file lies beside the converted one (``.repaired.onnx``).
    """
    edits = [e for o in report.origins if o.cause and o.cause.proven for e in o.cause.edits]
    model = onnx.load(subject.candidate)
    apply(model, edits)
    file = subject.candidate.with_suffix(".repaired.onnx")
    onnx.save(model, file)
    try:
        return distance(paddle, run(file, subject.image)) if edits else None
    except RuntimeError:
        return None


def masked(judge: Judge, subject: Subject, report: Report) -> bool:
    """Whether what is blamed does err, though no output shows it: the causes are proven, and each value that
    is blamed is another in whole runs of both models."""
    if not all(origin.cause and origin.cause.proven for origin in report.origins):
        return False
    names = [(origin.pair.reference, origin.pair.candidate) for origin in report.origins]
    bench = judge.bench
    feeds = {name: bench.blocks.tensor(array) for name, array in bench.pair.image.items()}  # type: ignore[attr-defined]
    ours = bench.reference.run(feeds, [r for r, _ in names])
    model = onnx.load(subject.candidate)
    model.graph.ClearField("output")
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(c) for _, c in names)
    file = subject.candidate.with_suffix(".inner.onnx")
    onnx.save(model, file)
    theirs = run(file, subject.image)
    errors = [distance([ours[r].array], [got]) for (r, _), got in zip(names, theirs, strict=True)]
    return min(errors) >= OTHER


def outcome(report: Report, error: float) -> str:
    """``right``, ``found``; or ``miss``, ``false alarm``, ``unsure``; ``grey`` between the two bounds.

    A small divergence is found, too, where every cause is proven: then it is no rounding. ``coarse`` is a
    large error of nodes that round as coarsely: the last bit of their input does as much. A false alarm is
    looked at once more (:func:`masked`).
    """
    if report.verdict == "inconclusive":
        return "unsure"
    proven = bool(report.origins) and all(o.cause and o.cause.proven for o in report.origins)
    if report.verdict == "diverges" and (error >= OTHER or (error > SAME and proven)):
        return "found"
    if SAME < error < OTHER:
        return f"grey {report.verdict}"
    if report.verdict == "diverges":
        return "false alarm"
    if error < OTHER:
        return "right"
    return "coarse" if any(map(coarse, report.pairs)) else "miss"


def coarse(pair: PairInfo) -> bool:
    """Whether the last bit of a segment's inputs changes its result by what nobody calls rounding."""
    noise = pair.noise.metrics.rel_l2 if pair.noise else 0.0
    return pair.reason == OWN_ROUNDING and noise >= OTHER


def run(file: Path, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs of an ONNX file as it is written, without segdiff."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        wanted = {each.name for each in session.get_inputs()}
        return list(session.run(None, {name: array for name, array in feeds.items() if name in wanted}))
    except Exception as error:  # onnxruntime's own, of many kinds
        raise RuntimeError(str(error)) from error


def distance(truth: Sequence[Array], found: Sequence[Array]) -> float:
    """The largest relative L2 error (share of changed elements of integers); infinite for another shape,
    and for floats where there are whole numbers.

    A number and a vector of that number alone are one.
    """
    if len(truth) != len(found):
        return float("inf")
    errors = [_distance(np.asarray(t), np.asarray(f)) for t, f in zip(truth, found, strict=True)]
    return max(errors, default=0.0)


def _distance(truth: Array, found: Array) -> float:
    if truth.shape != found.shape and not truth.size == found.size == 1:
        return float("inf")
    if (truth.dtype.kind == "f") != (found.dtype.kind == "f"):
        return float("inf")
    if truth.size == 0:
        return 0.0
    comparison = compare_arrays(truth.astype(np.float64).ravel(), found.astype(np.float64).ravel())
    error = comparison.metrics.rel_l2
    return float("inf") if np.isnan(error) or comparison.mismatch else float(error)


def truth(record: Record, program: Program) -> tuple[float, float] | None:
    """How far the ONNX file and Paddle are from the float64 computation; None where none is written."""
    file = Path(record["file"])
    expected = semantics.expected(program)
    if expected is None or not file.is_file():
        return None
    onnx, paddle = run(file, program.tensors()), kept_outputs(file.with_name("y.npz"))
    return distance(expected, onnx), distance(expected, paddle)


def sweep(work: Work, log: Log, routes: Sequence[Route], opsets: Sequence[int]) -> None:
    """Export, convert, judge; equal files are judged once."""
    every = programs()
    judge: Judge | None = None
    for route in routes:
        work.export(route)
        for opset in opsets:
            work.convert(route, opset)
        for key, subject, opset in subjects(work, route, opsets, every):
            if key in log:
                continue
            judge = judge or Judge(subject)
            record = judged(judge, subject)
            log.add({"key": key, "program": subject.name, "route": route.version, "opset": opset, **record})
            print(line(log.records[key]), flush=True)


def subjects(
    work: Work, route: Route, opsets: Sequence[int], every: Mapping[str, Program]
) -> Iterator[tuple[str, Subject, int]]:
    """What there is to judge, program by program."""
    for name in work.names:
        program, seen = work.program(route, name), set()
        for opset in opsets if program else ():
            onnx = work.onnx(route, name, opset)
            if not onnx.is_file() or onnx.read_bytes() in seen:
                continue
            seen.add(onnx.read_bytes())
            assert program is not None
            key = f"{name} | {route.version} | {opset}"
            yield key, Subject(name, program, onnx, every[name].tensors()), opset


def line(record: Record) -> str:
    """A case in one line."""
    origins: list[dict[str, Any]] = record.get("origins") or []
    causes = [f"{o['cause']}{'' if o['proven'] else '?'}" for o in origins]
    errors = [
        f"{name} {record[name]:.2g}"
        for name in ("onnx_error", "onnx_wrong", "paddle_wrong")
        if name in record
    ]
    said = "" if record["outcome"] in GOOD else f" {record.get('said', '')[:160]}"
    return f"{record['outcome']}: {record['key']} [{', '.join(errors)}] {' '.join(causes)}{said}"


def summary(log: Log) -> str:
    """Counts, and every file that did not end as it should; what was found, by program and cause."""
    records, every = list(log.records.values()), programs()
    lines = [f"{len(records)} files: {dict(Counter(r['outcome'] for r in records))}"]
    lines += [line(r) for r in records if r["outcome"] not in GOOD]
    rows: dict[tuple[str, str, str], list[Record]] = {}
    for r in records:
        if r["outcome"] != "right" and r.get("origins"):
            cause = " ".join(sorted({f"{o['cause']}{'' if o['proven'] else '?'}" for o in r["origins"]}))
            words = told(r, every.get(r["program"]))
            rows.setdefault((f"{r['outcome']} {r['program']}", cause, words), []).append(r)
    for (name, cause, words), each in sorted(rows.items()):
        lines += [f"{name} | {cause} | {where(each)}", words, f"    In {Path(each[0]['file']).parent}"]
    return "\n".join(lines)


def where(records: Sequence[Record]) -> str:
    """Versions, and the opsets of each."""
    opsets: dict[str, list[int]] = {}
    for r in records:
        opsets.setdefault(r["route"], []).append(r["opset"])
    return "; ".join(f"{route}: {','.join(map(str, sorted(found)))}" for route, found in opsets.items())


def told(record: Record, program: Program | None) -> str:
    """What segdiff says of a file, and what is true."""
    lines = [
        f"    {'+'.join(o['candidate'])} for {'+'.join(o['reference'])}: {o['because']} "
        f"Alone: {number(o['rel_l2'])} before, {number(o.get('residual'))} after the change."
        for o in record["origins"]
    ]
    error = f"{number(record['onnx_error'])} as converted, {number(record.get('repaired_error'))} repaired"
    wrong = truth(record, program) if program else None
    checked = f"ONNX {number(wrong[0])}, Paddle {number(wrong[1])}" if wrong else "not computed"
    lines.append(f"    From Paddle: {error}. From float64: {checked}.")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """A relative error, to two digits."""
    return "?" if value is None else f"{value:.2g}"


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.converters", description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--opsets", type=int, nargs="+", default=list(OPSETS))
    parser.add_argument("--routes", nargs="+", default=["*"], help="versions of paddle2onnx, as patterns")
    args = parser.parse_args(argv)
    names = [n for n in programs() if any(fnmatch.fnmatch(n, pattern) for pattern in args.patterns)]
    routes = [r for r in ROUTES if any(fnmatch.fnmatch(r.version, pattern) for pattern in args.routes)]
    log = Log(args.out)
    sweep(Work(args.work, names), log, routes, args.opsets)
    print(summary(log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

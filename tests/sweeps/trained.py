"""Trained models from public packages, as their users get them: is the verdict true?

``python -m tests.sweeps.trained --data DIR [--made DIR] [--log FILE.jsonl] [--table] [PATTERN ...]``

Patterns are for ``MODEL/VARIANT``. ``DIR`` holds a folder for each package (``trained_models``). Each model
stands against its conversions by three versions of the converter and their rewrites, in half precision and in
bytes (``trained_files``). What is true is found without segdiff: both files are run by their own frameworks
from the same input, and their outputs compared; a file in half precision is asked which of its constants
were cut off, and which values of the float32 file leave the range of the type.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import segdiff
from segdiff.core.graph import Array
from tests.sweeps.log import Log, Record
from tests.sweeps.trained_files import Variant, variants
from tests.sweeps.trained_models import MODELS, Feeds, Model

SAME = 1e-3
"""Relative error of an output up to which two right files may differ, run by two frameworks."""

LARGEST = 65504.0
"""Of float16."""

LONGEST = 120.0
"""Seconds that an answer may take; on a loaded machine those of the processor count."""


def outputs_of(file: Path, feeds: Feeds) -> list[Array] | str:
    """What the file's own framework gives, in a process of its own; why not, where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, **feeds)  # type: ignore[arg-type]
        words = [sys.executable, "-m", "tests.sweeps.plainly", str(file), str(given), str(got)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        if not got.is_file():
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            return (lines or [f"exit {done.returncode}"])[-1][:300]
        with np.load(got) as arrays:
            return [arrays[name] for name in sorted(arrays.files, key=lambda n: int(n.split("_")[1]))]


def distance(ours: list[Array], theirs: list[Array]) -> float:
    """The largest relative error of an output; infinite where their number or a shape differs."""
    if len(ours) != len(theirs):
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return float("inf")
        a, b = a.astype(np.float64), b.astype(np.float64)
        norm = float(np.linalg.norm(a)) or 1.0
        worst = max(worst, float(np.linalg.norm(a - b)) / norm)
    return worst


def as_sets(ours: list[Array], theirs: list[Array]) -> float:
    """The same where rows may stand in another order: each table sorted by its rows, rounded."""

    def ordered(table: Array) -> Array:
        if table.ndim < 2:
            return table
        flat = table.reshape(-1, table.shape[-1])
        return flat[np.lexsort(np.round(flat[:, ::-1].astype(np.float64), 2).T)]

    return distance([ordered(each) for each in ours], [ordered(each) for each in theirs])


def cut_off(variant: Variant, feeds: Feeds) -> str:
    """What float16 cannot hold of a float32 file: constants that the converter changed, and large values."""
    if variant.file is None or variant.base is None or variant.coarse != "float16":
        return ""
    before = {each.name: each for each in onnx.load(str(variant.base)).graph.initializer}
    clipped = []
    for each in onnx.load(str(variant.file)).graph.initializer:
        old = before.get(each.name)
        if old is None or old.data_type != 1 or each.data_type != 10:
            continue
        a = onnx.numpy_helper.to_array(old).astype(np.float64).reshape(-1)
        b = onnx.numpy_helper.to_array(each).astype(np.float64).reshape(-1)
        far = np.abs(a - b) > np.maximum(2.0**-10 * np.abs(a), 2.0**-13 * np.abs(a).max(initial=0.0))
        if far.any():
            clipped.append(each.name)
    large = overflowing(variant.base, feeds)
    told = [f"cut off: {', '.join(clipped[:4])} ({len(clipped)})"] if clipped else []
    return "; ".join([*told, f"too large: {', '.join(large[:4])} ({len(large)})" if large else ""]).strip(
        "; "
    )


def overflowing(file: Path, feeds: Feeds) -> list[str]:
    """The values of a float32 file that float16 cannot hold, run from the image with all of them shown."""
    import onnxruntime as ort

    model = onnx.load(str(file))
    names = [name for node in model.graph.node for name in node.output if name]
    shown = {each.name for each in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in shown)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        given = {each.name: feeds[each.name] for each in session.get_inputs()}
        found = zip([each.name for each in session.get_outputs()], session.run(None, given), strict=True)
        return [n for n, a in found if isinstance(a, np.ndarray) and a.dtype == np.float32 and too_large(a)]
    except Exception as error:  # a runtime may fail in any way
        return [f"(not known: {str(error)[:80]})"]


def too_large(array: Array) -> bool:
    """Whether a finite value lies beyond float16."""
    return bool(array.size) and float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) > LARGEST


def told(reference: Path, candidate: Path, feeds: Feeds) -> Record:
    """What segdiff says."""
    start, before = time.perf_counter(), os.times()
    try:
        report = segdiff.locate(reference, candidate, feeds)
    except segdiff.SegdiffError as error:
        spent = seconds_since(start, before)
        return {"verdict": type(error).__name__, "sentence": str(error), "origins": [], **spent}
    origins = [
        f"{o.pair.candidate_op} {o.pair.candidate!r} [{o.cause.kind if o.cause else '-'}"
        f"{', proven' if o.cause and o.cause.proven else ''}]"
        for o in report.origins
    ]
    return {
        "verdict": report.verdict,
        "sentence": report.sentence,
        "kinds": [o.cause.kind if o.cause else "-" for o in report.origins],
        "origins": origins[:5],
        "count": len(origins),
        "coverage": report.coverage,
        "remarks": list(report.remarks),
        **seconds_since(start, before),
    }


def seconds_since(start: float, before: Any) -> dict[str, float]:
    """By the clock, and of the processor, the engines' processes included: the first follows the load."""
    spent = sum(now - then for now, then in zip(os.times()[:4], before[:4], strict=True))
    return {"seconds": time.perf_counter() - start, "cpu": spent}


SMALL = 0.02
"""Relative error of the outputs up to which a constant that was cut off is worth no word: float16's own
share of these models is up to 0.013."""

CUT_OFF = ("precision.clipped", "precision.overflow", "precision.underflow")


def opinion(record: Record, base: Record | None = None) -> str:
    """Does the verdict fit what is true? ``ok``, ``WRONG`` or ``look``, where a person has to.

    ``base`` is the record of the float32 file that a coarse one was made of: what is wrong there is wrong
    here, too.
    """
    kinds = record.get("kinds", [])
    if min(record["seconds"], record.get("cpu", record["seconds"])) > LONGEST:
        return "SLOW"
    if record["refused"]:
        return "ok" if kinds and kinds[0] == "runtime.refused" else "WRONG"
    if record["verdict"] not in ("agrees", "diverges"):
        return "WRONG"
    if record["coarse"]:
        return of_coarse(record, kinds, base)
    same = record["apart"] <= SAME
    if same or record["as_sets"] <= SAME:
        if same:
            return "ok" if record["verdict"] == "agrees" else "WRONG"
        # 1.1.0 and 1.3.1 drop a bias of 1e-9 in PicoDet as well: a true fault that the outputs do not show
        return "ok" if "rows.order" in kinds and record["verdict"] == "diverges" else "WRONG"
    return "ok" if record["verdict"] == "diverges" else "look"


def of_coarse(record: Record, kinds: list[str], base: Record | None) -> str:
    """The same of half precision or bytes, which are apart from float32 in any case."""
    inherited = list(base.get("kinds", [])) if base and base.get("apart", 0.0) > SAME else []
    own = [kind for kind in kinds if kind not in inherited]
    if not own:
        healthy = not record["cut_off"] or record["apart"] <= SMALL or bool(inherited)
        return "ok" if healthy else "look"
    if record["cut_off"] and all(kind in CUT_OFF for kind in own):
        return "ok"
    return "look" if all(kind.startswith(("precision.", "quantization.")) for kind in own) else "WRONG"


def base_of(name: str) -> str:
    """The variant that another one was made of: ``p2o-1.1.0`` of ``p2o-1.1.0/float16``."""
    return name.rpartition("/")[0] or "itself"


def judged(
    reference: Path, ours: list[Array] | str, variant: Variant, feeds: Feeds, base: Record | None
) -> Record:
    """One variant: what is true, and what segdiff says."""
    assert variant.file is not None
    theirs = outputs_of(variant.file, feeds)
    failed = [each for each in (ours, theirs) if isinstance(each, str)]
    record: Record = {
        "coarse": variant.coarse,
        "refused": theirs if isinstance(theirs, str) else "",
        "apart": float("nan") if failed else distance(ours, theirs),  # type: ignore[arg-type]
        "as_sets": float("nan") if failed else as_sets(ours, theirs),  # type: ignore[arg-type]
        "cut_off": cut_off(variant, feeds),
    }
    record |= told(reference, variant.file, feeds)
    return {**record, "opinion": opinion(record, base)}


def shown(record: Record) -> str:
    """A record in a line."""
    if "problem" in record:
        return f"{record['key']}: not made: {record['problem'][:160]}"
    truth = record["refused"][:80] or f"{record['apart']:.2g} apart (rows as sets {record['as_sets']:.2g})"
    spent = f"{record['seconds']:.0f} s, {record['cpu']:.0f} of the processor"
    return (
        f"{record['key']}: {record['opinion']}: {record['verdict']}, {record.get('count', 0)} origins "
        f"{record['origins'][:3]}, coverage {record.get('coverage')}, {spent}; "
        f"in truth {truth} {record['cut_off']}\n    {record['sentence'][:400]}"
    )


def table(log: Log) -> str:
    """All that the log holds, a row a file."""
    rows = ["| model/variant | verdict | truth | processor seconds | |", "|---|---|---|---|---|"]
    for key, record in log.records.items():
        model, _, name = key.partition("/")
        base = log.records.get(f"{model}/{base_of(name)}")
        if "problem" in record:
            rows.append(f"| {record['key']} | not made | {record['problem'][:60]} | | |")
            continue
        truth = "refused" if record["refused"] else f"{record['apart']:.1e}"
        kinds = ", ".join(dict.fromkeys(record.get("kinds", [])))
        spent = record.get("cpu", record["seconds"])
        rows.append(
            f"| {record['key']} | {record['verdict']} {kinds} | {truth} | {spent:.0f} | "
            f"{opinion(record, base)} |"
        )
    return "\n".join(rows)


def main() -> int:
    """Every model against each of its variants, two lines each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--made", type=Path, help="where the files are kept that are made; else they are not")
    parser.add_argument("--log", type=Path, help="records that a later run adds to")
    parser.add_argument("--table", action="store_true", help="only print the table of what the log holds")
    parser.add_argument("patterns", nargs="*", default=["*"])
    chosen = parser.parse_args()
    log = Log(chosen.log)
    if chosen.table:
        print(table(log))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        for model in MODELS:
            of_model(model, chosen.data, (chosen.made or Path(scratch)) / model.name, chosen.patterns, log)
    return 0


def of_model(model: Model, data: Path, folder: Path, patterns: list[str], log: Log) -> None:
    """All variants of one model that are asked for."""

    def wanted(name: str) -> bool:
        return any(fnmatch.fnmatch(f"{model.name}/{name}", each) for each in patterns)

    if not (data / model.reference).exists():
        print(f"{model.name}: its package is not in {data}", flush=True)
        return
    feeds: dict[str, Any] = model.feeds()
    ours: list[Array] | str | None = None
    for variant in variants(model, data, folder, wanted):
        key = f"{model.name}/{variant.name}"
        if variant.file is None:
            record: Record = {"key": key, "problem": variant.problem}
        else:
            reference = data / model.reference
            ours = outputs_of(reference, feeds) if ours is None else ours
            base = log.records.get(f"{model.name}/{base_of(variant.name)}")
            record = {"key": key, **judged(reference, ours, variant, feeds, base)}
        log.add(record)
        print(shown(record), flush=True)


if __name__ == "__main__":
    sys.exit(main())

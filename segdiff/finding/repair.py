"""What works? A copy of the ONNX file with the proven changes, and nothing else changed; then it is run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from segdiff.core.answer import Repaired, RepairedOutput, Report
from segdiff.core.edit import Edit, apply, merged
from segdiff.core.errors import InputError, RepairError
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors
from segdiff.core.metrics import compare_arrays
from segdiff.core.outputs import refuse_input, refuse_other_suffix, refuse_unwritable_file
from segdiff.engines import Blocks, Engine
from segdiff.readers import find
from segdiff.readers.companions import companions
from segdiff.walk.walker import mask_changed

TIMEOUT = 300.0
"""Seconds that the repaired model may be silent."""


def repair(report: Report, path: str | Path) -> Repaired:
    """Write the candidate with every proven cause mended to ``path``, and run it from the report's image.

    An older file at ``path`` is replaced, but never one that the report's run has read. Raises InputError
    where ``path`` is one of those, does not end in ``.onnx`` or cannot be written, RepairError where no
    cause is proven or the changed model fails ONNX's checker, EngineError where it does not run; then nothing
    is written.
    """
    evidence, target = _evidence(report), Path(path)
    proven = {id(o): o.cause for o in report.origins if o.cause and o.cause.proven and o.cause.edits}
    if not proven:
        raise RepairError(
            "no cause is proven, so there is nothing that could be repaired with certainty; "
            "report.repro(), or --repro, writes the operator down for a bug report"
        )
    source = evidence.files[1].program
    _check_target(report, evidence, target)
    edits = merged(edit for cause in proven.values() for edit in cause.edits)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".segdiff-") as folder:
        draft = Path(folder) / "model.onnx"
        remarks = _write(source, draft, edits)
        outputs = _outputs(report, evidence, draft)
        _move_external_data(source, draft, target)
        draft.replace(target)
    left = tuple(o.pair.candidate for o in report.origins if id(o) not in proven and not o.runtime)
    return Repaired(target, tuple(proven.values()), left, outputs, remarks + _beside(report))


def _beside(report: Report) -> tuple[str, ...]:
    """What no repair of the file mends."""
    fed = report.as_fed.comparison.findings if report.as_fed and not report.as_fed.comparison.same else ()
    texts = [o.cause.text for o in report.origins if o.runtime and o.cause]
    texts += [f"{finding.text} [{finding.kind}]" for finding in fed]
    return tuple(f"No repair of the file helps here: {text}" for text in texts)


def _evidence(report: Report) -> KeptTensors:
    if report.verdict != "diverges":
        raise InputError(f"there is nothing to repair: the verdict is '{report.verdict}'")
    if "network" not in report.homes:
        raise InputError(
            f"the file is right as it is, so there is nothing to repair in it: {report.sentence}"
        )
    if report.evidence is None:
        raise InputError("this report has lost the tensors of its run; locate again")
    return report.evidence


def _check_target(report: Report, evidence: KeptTensors, target: Path) -> None:
    what = "The repaired model"
    if target.exists():
        refuse_input(target, inputs_of(report, evidence), what)
    refuse_other_suffix(target, what)
    refuse_unwritable_file(target, what)


def inputs_of(report: Report, evidence: KeptTensors) -> Iterator[Path]:
    """The files that the report's run has read: both models, the image."""
    for files in evidence.files:
        yield from companions(files.program)
    if report.image is not None:
        yield Path(report.image)


def _write(source: Path, draft: Path, edits: tuple[Edit, ...]) -> tuple[str, ...]:
    """The changed model at ``draft``, external data beside it; returns remarks. Raises RepairError."""
    import onnx

    from segdiff.readers.onnx import load

    model = load(source)
    original = onnx.ModelProto()
    original.CopyFrom(model)
    apply(model, edits)
    _forget_shapes(model.graph, edits)
    _link_external_data(model, source, draft)
    draft.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(draft))
    except Exception as error:  # the checker raises half a dozen types
        words = " ".join(str(error).split())[:300]
        try:
            onnx.checker.check_model(original)
        except Exception:
            return (f"The ONNX checker objects to the candidate, and to the repaired file: {words}",)
        raise RepairError(f"{source}: the repaired model fails the ONNX checker: {words}") from error
    return ()


def _forget_shapes(graph: Any, edits: Iterable[Edit]) -> None:
    """Drop what the file says of the shapes behind a change: a repair may change them."""
    changed = {edit.output for edit in edits}
    for node in graph.node:  # in topological order
        if changed.intersection(node.input) or changed.intersection(node.output):
            changed.update(node.output)
    kept = [info for info in graph.value_info if info.name not in changed]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def external_files(model: Any) -> list[str]:
    """The locations of a model's external data, relative to its folder."""
    found = dict.fromkeys(
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    )
    return list(found)


def _link_external_data(model: Any, source: Path, draft: Path) -> None:
    for location in external_files(model):
        beside = draft.parent / location
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.parent / location, beside)
        except OSError:  # another file system
            shutil.copyfile(source.parent / location, beside)


def _move_external_data(source: Path, draft: Path, target: Path) -> None:
    """Put external data beside the repaired file; where it shares the candidate's folder it is there."""
    if target.parent.resolve() == source.parent.resolve():
        return
    for file in sorted(p for p in draft.parent.rglob("*") if p.is_file() and p != draft):
        place = target.parent / file.relative_to(draft.parent)
        if place.exists():
            raise InputError(
                f"{place}: is in the way of the model's external data; choose another folder for {target}"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, place)


def _outputs(report: Report, evidence: KeptTensors, draft: Path) -> tuple[RepairedOutput, ...]:
    """The repaired model's outputs from the image, beside those of before."""
    got = _run(draft, evidence.feeds, evidence.outputs)
    found = []
    for before in report.outputs:
        if before.candidate in got:
            truth, array = evidence.outputs[before.candidate], got[before.candidate]
            found.append(RepairedOutput(before, compare_arrays(truth, array), mask_changed(truth, array)))
    return tuple(found)


def _run(model: Path, feeds: Mapping[str, Array], wanted: Iterable[str]) -> dict[str, Array]:
    blocks = Blocks()
    try:
        with Engine(find(model), blocks, timeout=TIMEOUT, threads=os.cpu_count() or 1) as engine:
            tensors = {name: blocks.tensor(array) for name, array in feeds.items()}
            return {name: t.array.copy() for name, t in engine.stream(tensors, wanted)}
    finally:
        blocks.close()

"""What has the device done? Its values against the file's, and against the reference's: a report of both.

The file itself was compared with the reference before: what a converter did is not the device's fault.
"""

from __future__ import annotations

from dataclasses import replace

from segdiff.align.segments import swallows
from segdiff.core.answer import Report
from segdiff.core.device import DeviceInfo
from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles
from segdiff.core.kept import KeptTensors
from segdiff.core.progress import Progress
from segdiff.core.thresholds import crosses
from segdiff.diagnose.device import explain_device
from segdiff.finding.device_effect import effects_of
from segdiff.finding.device_misread import misread
from segdiff.finding.device_rows import OnDevice, handovers, origin_of, outputs_of, rows_of
from segdiff.finding.device_verdict import decided, fed_otherwise
from segdiff.finding.kept import keep
from segdiff.finding.verdict import confirmed, readers_of
from segdiff.walk import Run
from segdiff.walk.device import (
    multiplied_in_half,
    seen_from_the_reference,
    walked_on_device,
    without_unfed,
)
from segdiff.walk.dump_check import CheckedDump


def on_device(
    network: Run, dump: CheckedDump, files: tuple[ModelFiles, ModelFiles], progress: Progress
) -> OnDevice:
    """Everything that the dump can show. Never raises for what an engine does."""
    reasons: list[str] = []
    run = walked_on_device(network, dump, lambda *done: progress("device", *done))
    inside: frozenset[str] = frozenset()
    try:
        inside = multiplied_in_half(run)
    except EngineError as error:
        reasons.append(f"Whether the device multiplies in half precision is not known: {error}")
    if inside:
        run = walked_on_device(network, dump, lambda *done: progress("device", *done), inside)
    run = without_unfed(run, dump.broken)
    try:
        run = seen_from_the_reference(run, network)
    except EngineError as error:
        reasons.append(f"How far the device is from the reference is not known: {error}")
    run, misread_tensors = misread(run)
    total = len(run.origins)
    causes = explain_device(run, misread_tensors, lambda done: progress("explain", done, total))
    effects = effects_of(run, network, reasons)
    kept = keep(files, run) if total else None
    if kept is not None and kept.problem:
        reasons.append(f"Not all that a repro needs was kept: {kept.problem}")
    info = info_of(run, dump, (IN_HALF,) if inside else ())
    return OnDevice(run, network, dump, info, causes, effects, kept, tuple(reasons))


IN_HALF = (
    "It stores float32, but multiplies numbers of half precision (TF32, or float16 in its matrix unit): its "
    "convolutions and products are judged in that."
)


def info_of(run: Run, dump: CheckedDump, more: tuple[str, ...]) -> DeviceInfo:
    """The dump, and how many of the file's ops it shows."""
    size = len(run.alignment.candidate.ops)
    isolated: set[int] = set()
    seen: set[int] = set()
    for step in run.walk.steps:
        judged = all(pair.judgement is not None and pair.judgement.kind != "unfed" for pair in step.pairs)
        ops = step.segment.ops
        alone = judged and not swallows((len(ops), len(ops)), (size, size))
        (isolated if alone else seen).update(ops)
    seen -= isolated
    found = dump.dump
    remarks = (*found.remarks, *undone(dump), *more)
    if not set(run.alignment.candidate.graph.inputs) <= found.tensors.keys():
        remarks += ("The dump holds no input: the device is taken to be fed what the reference is fed.",)
    return DeviceInfo(
        path=found.path,
        form=found.form,
        precision=dump.arithmetic,
        values=len(found.tensors),
        isolated=len(isolated),
        seen=len(seen),
        missing=size - len(isolated) - len(seen),
        remarks=remarks,
        problems=found.problems,
    )


def undone(dump: CheckedDump) -> tuple[str, ...]:
    """What the reader undid, each once, with how often."""
    ways = [way for tensor in dump.dump.tensors.values() for way in tensor.how]
    return tuple(f"{way}: undone in {ways.count(way)} tensors." for way in dict.fromkeys(ways))


def with_device(report: Report, device: OnDevice) -> Report:
    """The report of the file against the reference, with what the device did otherwise."""
    rows = [rows_of(device, step) for step in device.run.walk.steps]
    pairs = tuple(row for group in rows for row in group)
    readers = readers_of(device.run.walk)
    origins = tuple(
        origin_of(device, step, group, confirmed(step, readers))
        for step, group in zip(device.run.walk.steps, rows, strict=True)
        if step.is_origin
    )
    origins += tuple(handovers(device, origins))
    verdict, sentence = decided(report, device, origins, pairs)
    thresholds = device.run.probe.thresholds
    size = max(1, len(device.run.alignment.candidate.ops))
    return replace(
        report,
        verdict=verdict,
        sentence=sentence,
        coverage=(report.coverage[0], round(device.info.isolated / size, 4)),
        outputs=tuple(outputs_of(device)),
        origins=(*report.origins, *origins),
        first_crossing=next((pair for pair in pairs if crosses(thresholds, pair.cumulative)), None),
        pairs=pairs,
        precision=device.precision,
        measured=None,
        remarks=(*report.remarks, *fed_otherwise(device), *device.reasons),
        device=device.info,
    )


def kept_with(kept: KeptTensors | None, device: OnDevice) -> KeptTensors | None:
    """What outlives the run: around the file's own origins as ever, and around the device's."""
    if kept is None or device.kept is None:
        return kept or device.kept
    return replace(kept, segments={**device.kept.segments, **kept.segments})

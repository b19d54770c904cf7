"""What will half precision cost? From a float32 ONNX file and images to a :class:`HalfReport`.

read -> one session, its groups switched -> image by image: plain, in half, groups alone -> reasons, verdict
-> what helps, tried in the same simulation
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from segdiff.core.environment import Computed
from segdiff.core.errors import InputError, ModelError
from segdiff.core.graph import Graph
from segdiff.core.half import Half, Static
from segdiff.core.memory import PeakMemory
from segdiff.core.outputs import refuse_unwritable_folder
from segdiff.core.progress import Progress, told_to
from segdiff.core.version import VERSION
from segdiff.engines.session import Clock, deploy_config, own_specs
from segdiff.finding.read_otherwise import read_otherwise
from segdiff.half.answer import ClassScore, HalfEnvironment, HalfReport
from segdiff.half.bench import Bench, bench
from segdiff.half.conclude import largest_unmeasured, ops_of, sentence_of, verdict_of
from segdiff.half.cost import THRESHOLD
from segdiff.half.examples import examples
from segdiff.half.measure import Asked, Measured, measure
from segdiff.half.reasons import Reasons
from segdiff.half.remedies.answered import Setting, Wish, reach_of, with_remedies
from segdiff.half.static import alpha_overflows, static
from segdiff.half.targets import BatchNorm, How, how_of
from segdiff.inputs.prepare import Image
from segdiff.inputs.transforms import check_transforms
from segdiff.readers import find, read
from segdiff.readers.urls import a_model, takes_urls
from segdiff.score.areas import IGNORE, scores
from segdiff.score.asked import asked
from segdiff.score.names import class_names
from segdiff.score.urls import a_dataset, some_masks, some_names

if TYPE_CHECKING:
    import onnx

ALLOWED = 0.001
"""The share of mask pixels that may change."""

OF_EXPORTED = frozenset({"precision.variance", "precision.epsilon"})
"""What only matters where a batch norm is computed from its statistics."""


@takes_urls(
    reference=a_model,
    candidate=a_model,
    images=a_dataset,
    labels=some_masks,
    root=some_masks,
    names=some_names,
    edited=a_model,
)
def precision(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    images: Image | str | PathLike[str],
    *,
    labels: str | Path | None = None,
    root: str | Path | None = None,
    label_encoding: str | None = None,
    ignore_index: int | None = IGNORE,
    names: str | Path | Sequence[str] | None = None,
    target: str = "generic",
    precision: Half = "fp16",
    batch_norm: BatchNorm | None = None,
    allow_mask: float = ALLOWED,
    mask_threshold: float = THRESHOLD,
    thorough: bool = False,
    remedies: str | Path | None = None,
    edited: str | Path | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> HalfReport:
    """What a float32 ONNX file loses in half precision, where and why, simulated on the CPU.

    reference     the Paddle model that it came from: the config beside it says how images are prepared
    candidate     the ONNX file, in float32; the loss is that against the same file in float32
    images        an image, a ready tensor, a folder of images, or a list as ``evaluate`` takes it
    labels, root, label_encoding, ignore_index, names    as :func:`segdiff.evaluate` takes them: with labels
                  the report tells mIoU points, class by class
    target        ``generic``, ``ascend310p``, ``ascend910b`` or ``tensorrt``
    precision     ``fp16`` or ``bf16``
    batch_norm    how a batch norm is computed, where that is known better than by the target: ``folded``,
                  ``affine``, ``ascend`` or ``exported``
    allow_mask    the share of mask pixels that may change in a model that *keeps*
    mask_threshold   where an output of one channel within 0 and 1 is cut into a mask
    thorough      round every group alone, however long it takes
    remedies      a folder for the files of what helps: ``fixed.onnx``, ``mixed.onnx``, the
                  lists that the target's tools take
    edited        the file as you have changed it for half precision: the report tells what that changes
    timeout, threads   seconds that the engine may stay silent; its threads (all cores)

    Raises ModelError, InputError or EngineError where the question as a whole is impossible. An image that
    cannot be used is skipped and told.

    >>> from segdiff.example import example_files
    >>> with example_files("healthy.onnx") as (reference, candidate, image):
    ...     report = precision(reference, candidate, image)
    >>> report.verdict, report.cost.mask_changed < 0.001
    ('keeps', True)
    """
    clock = Clock()
    how = how_of(target, precision, batch_norm)
    files = find(reference), find(candidate)
    if files[1].format != "onnx":
        raise ModelError(f"{files[1].program}: is no ONNX file; what half precision costs is asked of one")
    if not 0 <= allow_mask <= 1:
        raise InputError(f"allow_mask is a share of the pixels, from 0 to 1, and not {allow_mask}")
    wish = Wish(*(None if each is None else Path(each) for each in (remedies, edited)))
    if wish.folder is not None:
        refuse_unwritable_folder(wish.folder, "The folder for what helps,")
    config = deploy_config(files)
    if config is not None:
        check_transforms(config.transforms or (), str(config.path))
    graph = read(files[1])
    shown = examples(images, own_specs(graph), config, labels, root, label_encoding)
    known = known_beforehand(graph, how)
    with PeakMemory() as peak, told_to(progress) as told:
        told("start half", 0, 0)
        with bench(files[1].program, how, timeout=timeout, threads=threads) as tried:
            clock.lap("start")
            wanted = Asked(how, mask_threshold, ignore_index, thorough)
            found = measure(tried, graph, shown, wanted, known, told)
            clock.lap("measure")
            report = concluded(
                tried, found, Reasons(graph, tried.groups, found.looks, known, how), allow_mask
            )
            reach = reach_of(tried.groups, found.looks)
            clock.lap("judge")
        setting = Setting(files[1].program, graph, how, shown, mask_threshold, ignore_index, timeout, threads)
        report = with_remedies(replace(report, static=known), setting, reach, wish, told)
        clock.lap("remedies")
    return replace(
        report,
        reference=str(files[0].program),
        candidate=str(files[1].program),
        classes=classes_of(found, names),
        device_remarks=read_otherwise(graph),
        asked=asked(
            "precision",
            [reference, candidate, images],
            {
                "--labels": (labels, None),
                "--root": (root, None),
                "--label-encoding": (label_encoding, None),
                "--ignore-index": (ignore_index, IGNORE),
                "--target": (target, "generic"),
                "--precision": (precision, "fp16"),
                "--batch-norm": (batch_norm, None),
                "--allow-mask": (allow_mask, ALLOWED),
                "--mask-threshold": (mask_threshold, THRESHOLD),
                "--remedies": (remedies, None),
                "--candidate": (edited, None),
            },
        ),
        timing_s=clock.laps,
        peak_memory_mb=round(peak.bytes / 2**20, 1),
    )


def known_beforehand(graph: Graph, how: How) -> tuple[Static, ...]:
    """What is known without a run, of what the target computes at all."""
    found = static(graph, how.precision)
    if how.batch_norm != "exported":
        found = tuple(each for each in found if each.reason not in OF_EXPORTED)
    more = alpha_overflows(graph) if how.batch_norm == "ascend" and how.precision == "fp16" else ()
    return (*more, *found)


def concluded(tried: Bench, found: Measured, reasons: Reasons, allowed: float) -> HalfReport:
    """The answer of the measurements."""
    how = reasons.how
    cost = found.tally.cost(found.points) if found.images else None
    ops = ops_of(tried.groups, found, reasons) if found.images else ()
    bound = largest_unmeasured(found.parts)
    verdict = verdict_of(cost, allowed, found)
    totals = [scores(each).miou for each in found.areas] if found.areas else []
    return HalfReport(
        verdict=verdict,
        sentence=sentence_of(verdict, how.precision, cost, ops, found, bound),
        reference="",
        candidate="",
        precision=how.precision,
        target=how.target,
        batch_norm=how.batch_norm,
        overflow=how.overflow,
        cost=cost,
        ops=ops,
        static=(),
        remedies=(),
        images=tuple(found.images),
        allowed=allowed,
        measured=sum(op.share is not None for op in ops),
        shared=len(found.parts),
        runs=tried.runs,
        largest_unmeasured=bound,
        scores=(totals[0], totals[1]) if totals else None,
        skipped=len(found.problems),
        problems=tuple(found.problems),
        remarks=tuple(found.remarks),
        environment=environment_of(tried),
    )


def classes_of(found: Measured, names: str | Path | Sequence[str] | None) -> tuple[ClassScore, ...]:
    """The IoU of each class in float32 and in half precision; none without labels."""
    if found.areas is None:
        return ()
    plain, half = (scores(each).class_iou for each in found.areas)
    called = class_names(names, len(plain))
    return tuple(ClassScore(*each) for each in zip(called, plain, half, strict=True))


def environment_of(tried: Bench) -> HalfEnvironment | None:
    """Which versions computed it."""
    engine = tried.runner.engine
    if engine.loaded is None:
        return None
    computed = Computed(engine.name, engine.loaded.python, dict(engine.loaded.versions))
    return HalfEnvironment(VERSION, platform.python_version(), platform.platform(), computed)

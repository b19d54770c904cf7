"""How do both models do on a data set? From two models and a list of images to scores and the worst images.

read -> start both engines -> image by image: run, score, compare, keep -> report, pictures
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segdiff.core.answer import Report
from segdiff.core.crew import crew_of
from segdiff.core.errors import InputError
from segdiff.core.memory import PeakMemory
from segdiff.core.outputs import (
    refuse_input,
    refuse_inside,
    refuse_unwritable_folder,
    results_of,
    write_atomically,
)
from segdiff.core.pictured import Pictures
from segdiff.core.progress import Progress, told_to
from segdiff.engines.cache import opened
from segdiff.engines.session import Clock, deploy_config
from segdiff.finding.locate import locate
from segdiff.finding.one_image import from_cache
from segdiff.inputs.fed import CandidateInput, check_named, is_npy
from segdiff.inputs.image import one_line
from segdiff.inputs.transforms import check_transforms
from segdiff.readers import ModelFiles, find
from segdiff.readers.companions import companions
from segdiff.readers.urls import a_model, takes_urls
from segdiff.score.areas import IGNORE
from segdiff.score.asked import asked, told_input
from segdiff.score.compare import CANDIDATE, REFERENCE, SAME_INPUT, Summary
from segdiff.score.conclude import Terms, is_doubtful, score_report
from segdiff.score.dataset import Entry, passed_over, read_dataset
from segdiff.score.journal import Journal, digest, fingerprint
from segdiff.score.names import class_names
from segdiff.score.pictures import write_gallery
from segdiff.score.protocol import EVALUATED, Protocol, protocol_of
from segdiff.score.readings import doubt_of, label_reading
from segdiff.score.report import ScoreReport
from segdiff.score.seen import MOST, remembered, seen_of
from segdiff.score.spread import Spread
from segdiff.score.started import Setting, count_classes, evaluation_of, label_kind_of
from segdiff.score.urls import a_dataset, some_masks, some_names

if TYPE_CHECKING:
    import onnx


@takes_urls(
    reference=a_model,
    candidate=a_model,
    dataset=a_dataset,
    labels=some_masks,
    root=some_masks,
    names=some_names,
)
def evaluate(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    dataset: str | Path,
    *,
    labels: str | Path | None = None,
    root: str | Path | None = None,
    separator: str = " ",
    candidate_input: CandidateInput | None = None,
    reference_protocol: str = "dataset",
    candidate_protocol: str = "dataset",
    label_resize: str = "linear",
    ignore_index: int | None = IGNORE,
    num_classes: int | None = None,
    names: str | Path | Sequence[str] | None = None,
    label_encoding: str | None = None,
    out: str | Path | None = None,
    pictures: str | Path | None = None,
    worst: int = 8,
    locate_worst: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    cache: str | Path | None = None,
    cache_size: int | None = None,
    progress: Progress | None = None,
) -> ScoreReport:
    """Run both models over a data set: scores of each side, agreement, raw outputs, the worst images.

    reference, candidate   models as :func:`segdiff.locate` takes them
    dataset       a list with ``image label`` or ``image`` a line, a folder of images, or one image
    labels, root, separator   the folder of labels that goes with a folder of images (or the label of one
                  image); the folder that a list's paths start from (its own); what stands between two words
    candidate_input   what the candidate is really fed, if not PaddleSeg's preprocessing: ``module:function``
                  or a callable from an image's path to the tensor
    reference_protocol, candidate_protocol   ``dataset``: areas summed over the data set at the label's size,
                  logits resized before the argmax, as PaddleSeg's evaluation does; ``image``: the mean of
                  per-image IoU at the mask's size
    label_resize  how ``image`` brings the label to the mask's size: ``linear`` (what ``cv2.resize`` does
                  unasked), ``nearest``, ``nearest_exact``, ``area`` or ``cubic``
    ignore_index  the label that does not count, or None
    num_classes   by default as many as the reference's output has channels, or else the labels
    names         of the classes: a sequence, a file with one a line, or ``a,b,c``
    label_encoding   ``index``, ``binary``, ``paddleseg`` or ``voc``; by default the labels show it
    out           a file for the report as JSON; each image's result is kept beside it as it comes, and a run
                  that was interrupted goes on from there
    pictures      a folder to write pictures of the ``worst`` images to
    locate_worst  ask :func:`segdiff.locate` about the worst image
    workers, scheduler   processes of this machine that share the images, or the address of a running Dask
                  cluster, as :func:`segdiff.sweep` takes them; the totals are the same to the last digit
                  where each engine has as many threads; by default the workers divide the cores
    timeout, threads   seconds that an engine may stay silent, and that your script may take for an image;
                  threads of each engine (all cores)
    reference_python, candidate_python   the Python of another environment, as :func:`segdiff.locate` takes it
    cache, cache_size   a folder for the reference's outputs, and the bytes that it may hold, as there

    Raises ModelError, InputError or EngineError where the run as a whole is impossible. An image that cannot
    be used is skipped and reported.

    >>> from segdiff.example import example_files
    >>> with example_files("healthy.onnx") as (reference, candidate, image):
    ...     report = evaluate(reference, candidate, image)
    >>> report.verdict, report.images, report.agreement.changed
    ('agrees', 1, 0)
    """
    clock = Clock()
    store = None if cache is None else opened(cache, cache_size)
    pythons = reference_python, candidate_python
    entries = read_dataset(dataset, labels=labels, root=root, separator=separator)
    _check_fed(candidate_input, entries)
    files = find(reference), find(candidate)
    read_by_it = (files[0].program, files[1].program, dataset, labels, names)
    _check_outputs(
        out, pictures, [Path(each) for each in read_by_it if isinstance(each, str | Path)], entries
    )
    config = deploy_config(files)
    if config is not None:
        check_transforms(config.transforms or (), str(config.path))
    shown = (EVALUATED, protocol_of("image", label_resize))
    terms = Terms(_protocol(reference_protocol, shown), _protocol(candidate_protocol, shown))
    frames = tuple(dict.fromkeys(protocol.frame for protocol in (*shown, *terms.protocols())))
    with ExitStack() as stack:
        peak = stack.enter_context(PeakMemory())
        crew = stack.enter_context(crew_of(workers, scheduler))
        label_kind = label_kind_of(entries, label_encoding)
        doubt = doubt_of((e.label for e in entries if e.label), label_encoding, ignore_index)
        setting = Setting(
            files,
            config,
            label_kind,
            frames,
            ignore_index,
            num_classes,
            doubt,
            candidate_input,
            timeout,
            threads,
            pythons,
        )
        count = partial(count_classes, entries, label_kind, ignore_index)
        evaluation = stack.enter_context(evaluation_of(setting, count, store))
        pair = evaluation.pair
        evaluation.remarks += passed_over(dataset, labels, entries)
        clock.lap("start")
        journal = None
        if out is not None:
            options = [
                ignore_index,
                num_classes,
                label_kind,
                doubt and doubt.told,
                told_input(candidate_input),
                [f.key for f in frames],
                *([pythons] if any(pythons) else []),
            ]
            journal = stack.enter_context(Journal(journal_of(out), _identity(files, entries, options)))
        told = stack.enter_context(told_to(progress))
        spread = None if crew.where == "here" else Spread(crew, setting, evaluation, cache, cache_size)
        summary = evaluation.all(entries, worst, journal, told, spread)
        clock.lap("run")
        known = class_names(names, evaluation.classes or _classes_of(summary))
        ranked = _ranked(entries, summary)
        fed = evaluation.input_of(ranked[0]) if ranked else None
        rounding = evaluation.rounding(ranked[0]) if ranked and is_doubtful(summary) else 0.0
        sources = _sources(files, candidate_input)
        report = score_report(summary, terms, shown, sources, known, fed=fed, rounding=rounding)
        classes = evaluation.classes or _classes_of(summary)
        reading = label_reading(summary, doubt, classes, (terms.reference, terms.candidate))
        clock.lap("judge")
        kept: list[tuple[str, Pictures]] = []
        written: tuple[Path, ...] = ()
        if pictures:
            shown_again = remembered(evaluation.pictures(ranked or entries[:1]), kept)
            written = write_gallery(pictures, shown_again, known)
        elif report.verdict == "diverges":
            kept += seen_of(evaluation.pictures(ranked[:MOST]))
        clock.lap("pictures")
        if report.verdict == "diverges" and ranked:
            evaluation.remarks += evaluation.optimised_away(ranked[0])
        remarks = (*evaluation.remarks, *pair.reference.remarks, *pair.candidate.remarks)
        remarks += from_cache(pair.reference.engine, store)
        clock.lap("optimisers")
    report = replace(
        report,
        asked=asked(
            "evaluate",
            [reference, candidate, dataset],
            {
                "--labels": (labels, None),
                "--root": (root, None),
                "--separator": (separator, " "),
                "--candidate-input": (candidate_input, None),
                "--reference-protocol": (reference_protocol, "dataset"),
                "--label-resize": (label_resize, "linear"),
                "--ignore-index": (ignore_index, IGNORE),
                "--num-classes": (num_classes, None),
                "--label-encoding": (label_encoding, None),
                "--reference-python": (reference_python, None),
                "--candidate-python": (candidate_python, None),
            },
        ),
        labels=reading,
        remarks=(*([reading.sentence()] if reading else []), *remarks),
        files=written,
        pictures=tuple(kept),
        located=_located(
            files,
            ranked,
            candidate_input=candidate_input,
            timeout=timeout,
            threads=threads,
            reference_python=reference_python,
            candidate_python=candidate_python,
            cache=cache,
            cache_size=cache_size,
            progress=progress,
        )
        if locate_worst
        else None,
        timing_s=clock.laps,
        peak_memory_mb=round(peak.bytes / 2**20, 1),
    )
    if out is not None:
        _keep(report, Path(out))
    return report


def _check_outputs(
    out: str | Path | None, pictures: str | Path | None, read: Sequence[Path], entries: Sequence[Entry]
) -> None:
    """Raise InputError, before anything runs, where an output would be lost or would cost an input.

    An older file at ``out`` is replaced, and so are older pictures.
    """
    folders = [path for path in read if path.is_dir()]
    shown = [path for entry in entries for path in (entry.image, entry.label) if path is not None]
    if pictures is not None:
        refuse_inside(Path(pictures), folders, "The folder of the pictures")
        refuse_unwritable_folder(Path(pictures), "The folder of the pictures")
    if out is None:
        return
    refuse_unwritable_folder(Path(out).parent, f"The folder of {out}")
    for place in (Path(out), journal_of(out)):
        if place.is_dir():
            raise InputError(f"The report {place} is a folder; name a file.")
        if place.is_file():
            models = (file for path in read[:2] for file in companions(path))
            refuse_input(place, (*models, *read, *shown), "The report")


def journal_of(out: str | Path) -> Path:
    """Where each image's result is kept: ``report.json`` has ``report.images.jsonl`` beside it."""
    return results_of(Path(out))


def _protocol(name: str, shown: tuple[Protocol, Protocol]) -> Protocol:
    return shown[0] if protocol_of(name, "linear").over == "dataset" else shown[1]


def _check_fed(candidate_input: CandidateInput | None, entries: Sequence[Entry]) -> None:
    """Raise InputError, before anything runs, where no image could get its tensor."""
    if isinstance(candidate_input, str | os.PathLike):
        check_named(os.fspath(candidate_input))
    if (isinstance(candidate_input, np.ndarray) or is_npy(candidate_input)) and len(entries) > 1:
        raise InputError(
            f"The candidate input is one tensor, but the data set has {len(entries)} images; give a "
            "function, written module:function or path/to/script.py:function."
        )


def _classes_of(summary: Summary) -> int:
    return next((tally.classes for tally in summary.tallies.values()), 0)


def _identity(
    files: tuple[ModelFiles, ModelFiles], entries: Sequence[Entry], options: list[Any]
) -> dict[str, Any]:
    """What a run is: results of another one are no use to it."""
    reference, candidate = files
    return {
        "reference": [fingerprint(reference.program), fingerprint(reference.params)],
        "candidate": fingerprint(candidate.program),
        "transforms": [fingerprint(each.deploy_yaml) for each in files],
        "data set": digest(f"{entry.image} {entry.label}" for entry in entries),
        "options": options,
    }


def _sources(files: tuple[ModelFiles, ModelFiles], candidate_input: CandidateInput | None) -> dict[str, str]:
    reference, candidate = (str(each.program) for each in files)
    if candidate_input is None:
        return {REFERENCE: reference, CANDIDATE: candidate}
    return {REFERENCE: reference, SAME_INPUT: candidate, CANDIDATE: f"{candidate}, fed by its own script"}


def _ranked(entries: Sequence[Entry], summary: Summary) -> list[Entry]:
    by_name = {entry.name: entry for entry in entries}
    return [by_name[result.name] for result in summary.worst]


def _located(files: tuple[ModelFiles, ModelFiles], ranked: Sequence[Entry], **options: Any) -> Report | None:
    """The report of the worst image, if there is one."""
    if not ranked:
        return None
    return locate(files[0].program, files[1].program, ranked[0].image, **options)


def _keep(report: ScoreReport, out: Path) -> None:
    try:
        write_atomically(out, report.to_json() + "\n")
    except OSError as error:
        raise InputError(f"The report cannot be written to {out}: {one_line(error)}.") from error

"""Where do the two models part? The method, from two files and an image to a report.

read -> align -> walk both in lockstep -> put every origin to the proof -> explain and weigh it -> run both as
deployed -> report
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from segdiff.core.answer import Report
from segdiff.core.memory import PeakMemory
from segdiff.core.progress import Progress, told_to
from segdiff.core.question import Question
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.legs import legs_of
from segdiff.engines import Deployed
from segdiff.engines.cache import opened
from segdiff.engines.session import Clock, default_memory
from segdiff.finding.dump import refuse_taken
from segdiff.finding.dumped_sides import own_input, sides_asked
from segdiff.finding.identity import hashes_of, identified, image_file
from segdiff.finding.inside import Limits
from segdiff.finding.meanwhile import candidate_begun, candidate_whole, reference_beside
from segdiff.finding.one_image import Terms, compared, fed_input, from_cache
from segdiff.finding.side_by_side import (
    Image,
    aligned,
    both_sides,
    in_one_pass,
    is_one_file,
    once_ready,
    prepared_for,
)
from segdiff.inputs import CandidateInput
from segdiff.readers.urls import a_file, a_model, takes_urls

if TYPE_CHECKING:
    import onnx

PHASES = (
    *("read", "input", "align", "start", "walk", "settle"),
    *("explain", "weigh", "keep", "device", "deployed", "conclude", "stop"),
)
"""What the progress and the report's times speak of, in order."""


@takes_urls(
    reference=a_model, candidate=a_model, image=a_file, reference_model=a_model, candidate_model=a_model
)
def locate(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    image: Image,
    *,
    candidate_input: CandidateInput | None = None,
    candidate_model: str | Path | onnx.ModelProto | None = None,
    reference_model: str | Path | onnx.ModelProto | None = None,
    map: str | Path | None = None,
    keep_tensors: str | Path | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    deployed: bool | str = "usual",
    full_walk: bool = False,
    allow_nan: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    cache: str | Path | None = None,
    cache_size: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Find the operator at which a candidate model departs from its reference, and prove it.

    reference, candidate   a folder with a Paddle model, or a ``.pdmodel``, ``.json`` (PIR) or ``.onnx`` file;
                           an ``onnx.ModelProto``, too
    image                  a picture, a ``.npy`` or ``.npz`` file; an HWC uint8 array (BGR, as OpenCV reads
                           it); a ready float32 NCHW array; or a dict of input names to arrays
    candidate_input        what the candidate is really fed: a tensor (an array or a ``.npy`` file), or your
                           own function from image path to tensor (``module:function``,
                           ``script.py:function`` or a callable); it is judged first, and the walk runs on
                           the reference's input
    candidate_model        the ONNX file that a device ran; ``candidate`` is then what the device left: a
                           folder of tensors or an ``.npz`` (docs/npu.md). Where the reference is that very
                           file it need not be named
    reference_model        likewise, the Paddle or ONNX model that ``reference`` is a dump of: it is read, and
                           not run
    map                    which nodes the device fused: the JSON that ``atc --mode=1`` makes of an OM, or an
                           ``.om2``
    keep_tensors           a new folder for every value of both sides, as :func:`segdiff.dump` writes them
    cosine, abs_error, rel_l2   thresholds of your own for a segment's isolated error; by default an error
                           counts when it is many times the segment's own rounding
    deployed               which models also run as their users run them, whole and optimised: an optimiser's
                           fault vanishes while it is watched. ``"usual"``: the candidate, and an ONNX
                           reference; ``"all"`` or True: both; ``"none"`` or False: neither
    full_walk              whether the candidate's own tensors are looked at from the image on, and every
                           cumulative error is measured; by default from the first origin on
    allow_nan              whether a ready tensor may hold NaN and infinite values; they are compared like any
                           other, and equal where both sides have the same
    memory                 bytes of tensors that may wait between the two engines, or are kept for the
                           proofs; by default a 32nd of the machine's (docs/many.md: what comes beside it)
    timeout                seconds an engine may stay silent before it is stopped
    threads                threads of each engine; by default one for Paddle, every core for onnxruntime
    reference_python, candidate_python   the Python of another environment, to run a side with the versions
                           that its user has; beside the framework it needs numpy, for an ONNX file onnx and
                           onnx-graphsurgeon, too
    cache, cache_size      a folder in which the reference's values are kept, and the bytes that it may hold
                           (16 GB): as long as nothing of the reference changes it does not run again

    Raises ModelError (a file cannot be read), InputError (the image cannot be used) or EngineError (a model
    does not even start to run). A failure in mid-run loses nothing that was measured until then: the report
    says what is not known and why, and where that leaves the question open the verdict is ``inconclusive``.

    >>> from segdiff.example import example_files
    >>> with example_files() as files:
    ...     report = locate(*files)
    >>> report.verdict, report.homes, report.first.cause.kind, report.first.cause.proven
    ('diverges', ('network',), 'resize.coordinate_mode', True)
    """
    options = {
        "candidate_input": candidate_input,
        "cosine": cosine,
        "abs_error": abs_error,
        "rel_l2": rel_l2,
        "allow_nan": allow_nan,
        "memory": memory,
        "timeout": timeout,
        "threads": threads,
        "reference_python": reference_python,
        "candidate_python": candidate_python,
    }
    thresholds, asked_legs = Thresholds(cosine, abs_error, rel_l2), legs_of(deployed)
    limits = Limits(memory or default_memory(), timeout, threads)
    pythons = reference_python, candidate_python
    with ExitStack() as stack:
        told = stack.enter_context(told_to(progress))
        clock = Clock(lambda phase: told(phase, 0, 0), PHASES)
        asked = sides_asked(reference, candidate, reference_model, candidate_model, map)
        files = asked.files
        if keep_tensors is not None:
            refuse_taken(Path(keep_tensors))
        peak = stack.enter_context(PeakMemory())
        kept = None if cache is None else opened(cache, cache_size)
        dumps = asked.reference_dump, asked.candidate_dump
        legs = asked_legs if dumps == (None, None) else "none"
        ahead = legs != "none" and not full_walk and not thresholds.given
        soon = Deployed() if ahead else None
        sides = stack.enter_context(both_sides(files, limits, pythons, dumps[0], kept, soon))
        prepared = prepared_for(sides, image, allow_nan=allow_nan)
        dump = asked.read_candidate(sides.graphs[1], prepared, image, told)
        clock.lap("read")
        if candidate_input is None:
            candidate_input = own_input(dump, prepared, sides.graphs[1])
        fed = fed_input(candidate_input, image, prepared, sides.config, timeout)
        clock.lap("input")
        ahead = ahead and in_one_pass(sides, thresholds)
        early = candidate_begun(sides, prepared) if ahead else None
        hashes, picture = hashes_of(files), image_file(image)
        alignment = aligned(sides)
        clock.lap("align")
        keeping = None if keep_tensors is None else Path(keep_tensors)
        once = dump is not None and asked.reference_dump is None and pythons[0] == pythons[1]
        once = once and is_one_file(files, sides.graphs[0])
        terms = Terms(thresholds, limits, legs, full_walk, dump=dump, keep_tensors=keeping, once=once)
        spare = legs == "all" and memory is None  # another engine takes memory that nobody has promised
        beside = reference_beside(sides, alignment, prepared) if spare else None
        whole = candidate_whole(sides, alignment, prepared, early) if ahead else None
        if whole is not None and memory is not None:
            whole()  # both at once would take memory that nobody has promised
        environment = once_ready(sides)
        clock.lap("start")
        report, _ = compared(sides, alignment, prepared, fed, terms, clock, told, whole, beside)
        report = identified(report, sides.graphs, hashes)
    clock.lap("stop")
    return replace(
        report,
        remarks=(*report.remarks, *from_cache(sides.engines.reference.engine, kept)),
        timing_s=clock.laps,
        peak_memory_mb=round(peak.bytes / 2**20, 1),
        image=str(image) if isinstance(image, str | Path) else None,
        image_file=picture,
        environment=environment,
        asked=Question(*asked.models, image, options),
    )

"""How many points does a pair lose? Both models run once more, as deployed, and scored against the label.

As ``evaluate`` does it, an image a task: what comes back are counts, which add up to the same total whoever
has counted them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.crew.told import failure_of
from segdiff.core.errors import SegdiffError
from segdiff.core.sweep_report import Areas as Rows
from segdiff.core.sweep_report import SweptLabel, SweptScore
from segdiff.engines.cache import opened
from segdiff.engines.session import deploy_config
from segdiff.inputs.transforms import check_transforms
from segdiff.readers import find
from segdiff.readers.urls import a_file, a_model, takes_urls
from segdiff.score.areas import Areas, Counts, scores
from segdiff.score.compare import CANDIDATE, REFERENCE, ImageResult
from segdiff.score.dataset import Entry
from segdiff.score.encoding import CITYSCAPES
from segdiff.score.fleet.labels import Reading
from segdiff.score.protocol import EVALUATED
from segdiff.score.readings import TWO
from segdiff.score.started import Setting, evaluation_of
from segdiff.score.urls import some_masks

MOST_CLASSES = 256
"""Classes that are counted where the models give masks and nobody says how many there are."""


def classes_by(reading: Reading) -> int | None:
    """How many classes labels have, where that follows from what they mean."""
    if reading.kind == "cityscapes":
        return len(CITYSCAPES)
    return TWO if reading.doubt and reading.doubt.told != "ignored" else None


def labelled(
    reference: str, candidate: str, image: str, label: str, reading: Reading, options: Mapping[str, Any]
) -> SweptLabel:
    """The areas and the score of both models on one image; or why there are none. ``options`` are those of
    ``locate``."""
    if reading.problem is not None:
        return SweptLabel(label, failure=reading.problem)
    try:
        return scored(reference, candidate, image, label, reading, options)
    except SegdiffError as error:
        return SweptLabel(label, failure=failure_of(error))


@takes_urls(reference=a_model, candidate=a_model, image=a_file, label=some_masks)
def scored(
    reference: str, candidate: str, image: str, label: str, reading: Reading, options: Mapping[str, Any]
) -> SweptLabel:
    """The same. Raises SegdiffError where a model does not run, or image and label cannot be used."""
    files = find(reference), find(candidate)
    config = deploy_config(files)
    if config is not None:
        check_transforms(config.transforms or (), str(config.path))
    setting = Setting(
        files,
        config,
        reading.kind,
        (EVALUATED.frame,),
        reading.ignore_index,
        reading.classes,
        reading.doubt,
        options.get("candidate_input"),
        options.get("timeout") or 300.0,
        options.get("threads"),
        (options.get("reference_python"), options.get("candidate_python")),
    )
    cache = options.get("cache")
    store = opened(cache, options.get("cache_size")) if cache else None
    unknown: list[int] = []

    def count() -> int:  # asked where no output tells it
        unknown.append(classes_by(reading) or MOST_CLASSES)
        return unknown[0]

    with evaluation_of(setting, count, store) as evaluation:
        result = evaluation.one(evaluation.loader.load(Entry(Path(image).name, Path(image), Path(label))))
        classes = evaluation.classes or 0
    if unknown and not classes_by(reading):
        classes = highest(result.areas[REFERENCE][EVALUATED.frame].label, reading.ignore_index) + 1
    return told(label, result, classes, reading)


def told(label: str, result: ImageResult, classes: int, reading: Reading) -> SweptLabel:
    """What one image says, as plain numbers, and its score."""
    ours, theirs = (rows_of(result.areas[side][EVALUATED.frame]) for side in (REFERENCE, CANDIDATE))
    taken = reading.doubt.taken(classes) if reading.doubt else None
    found = SweptLabel(label, None, classes, ours, theirs, taken)
    return replace(found, score=score_of([found]))


def highest(counts: Counts, ignore_index: int | None) -> int:
    """The highest class that a label has; -1 where every pixel is to be ignored."""
    return max((int(each) for each in np.flatnonzero(counts) if each != ignore_index), default=-1)


def rows_of(areas: Areas) -> Rows:
    """Areas as plain numbers, without the classes at the end that have no pixel."""
    rows = areas.to_list()
    used = 1 + max((place for row in rows for place, count in enumerate(row) if count), default=-1)
    return tuple(tuple(row[:used]) for row in rows)


def areas_of(rows: Rows, classes: int) -> Areas:
    """The areas that ``rows_of`` gave, of so many classes: what is beyond counts nowhere."""
    return Areas.from_list([[*row[:classes], *[0] * (classes - len(row))] for row in rows])


def score_of(labels: Iterable[SweptLabel | None]) -> SweptScore | None:
    """The score over some images, areas summed; None where no pixel of them has a label."""
    known = [each for each in labels if each is not None and each.reference]
    classes = max((each.classes for each in known), default=0)
    if not classes:
        return None
    ours, theirs = Areas.none(classes), Areas.none(classes)
    for each in known:
        ours, theirs = ours + areas_of(each.reference, classes), theirs + areas_of(each.candidate, classes)
    return SweptScore(scores(ours).miou, scores(theirs).miou, len(known))

"""What does a sweep look like as JSON, and how is it read back? Schema version 1, as docs/json.md has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from segdiff.core.baseline import Baseline
from segdiff.core.crew.told import Failure
from segdiff.core.sweep_report import (
    Fault,
    SweepReport,
    SweptImage,
    SweptLabel,
    SweptOrigin,
    SweptPair,
    SweptScore,
)

Fields = Mapping[str, Any]


def sweep_to_dict(swept: SweepReport) -> dict[str, Any]:
    """A sweep as dicts, lists, text and numbers."""
    return {
        "schema": 1,
        "verdict": swept.verdict,
        "sentence": swept.sentence,
        "exit_code": swept.exit_code,
        "command": list(swept.command) if swept.command else None,
        "source": swept.source,
        "swept": [_pair(pair) for pair in swept.pairs],
        "faults": [_listed(asdict(fault)) for fault in swept.faults],
        "left_over": list(swept.left_over),
        "remarks": list(swept.remarks),
        "timing_s": dict(swept.timing_s),
    }


def _pair(pair: SweptPair) -> dict[str, Any]:
    return {
        "name": pair.name,
        "reference": pair.reference,
        "candidate": pair.candidate,
        "verdict": pair.verdict,
        "known": pair.known,
        "problem": pair.problem,
        "score": _score(pair.score),
        "images": [_image(image) for image in pair.images],
    }


def _image(image: SweptImage) -> dict[str, Any]:
    found: dict[str, Any] = _listed(asdict(image))
    if image.labelled is not None:
        found["labelled"]["score"] = _score(image.labelled.score)
    return found


def _score(score: SweptScore | None) -> dict[str, Any] | None:
    return {**asdict(score), "points": score.points} if score else None


def _listed(value: Any) -> Any:
    """The same with lists where it has tuples."""
    if isinstance(value, Mapping):
        return {name: _listed(each) for name, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, tuple | list) else value


def sweep_report(data: Fields) -> SweepReport:
    """The sweep that JSON which fits the schema stands for."""
    return SweepReport(
        data["sentence"],
        tuple(map(_read_pair, data["swept"])),
        tuple(map(_read_fault, data["faults"])),
        tuple(data["left_over"]),
        data["source"],
        tuple(data["remarks"]),
        dict(data["timing_s"]),
        tuple(data["command"]) if data["command"] else None,
    )


def _read_pair(data: Fields) -> SweptPair:
    images = tuple(map(_read_image, data["images"]))
    score = _read_score(data.get("score"))
    return SweptPair(data["name"], data["reference"], data["candidate"], images, data["problem"], score)


def _read_score(data: Fields | None) -> SweptScore | None:
    found: SweptScore | None = _known(SweptScore, data) if data else None
    return found


def _read_label(data: Fields) -> SweptLabel:
    sides = {side: tuple(map(tuple, data[side])) for side in ("reference", "candidate")}
    failure = data["failure"]
    more = {
        "score": _read_score(data["score"]),
        "failure": _known(Failure, failure) if failure else None,
    }
    found: SweptLabel = _known(SweptLabel, {**data, **sides, **more})
    return found


def _read_image(data: Fields) -> SweptImage:
    held, failure, label = data["baseline"], data["failure"], data.get("labelled")
    known = {
        **data,
        "origins": tuple(_known(SweptOrigin, each) for each in data["origins"]),
        "input_causes": tuple(data["input_causes"]),
        "failure": _known(Failure, failure) if failure else None,
        "labelled": _read_label(label) if label else None,
        "baseline": held
        and Baseline(held["path"], *(tuple(held[name]) for name in ("known", "new", "gone"))),
    }
    found: SweptImage = _known(SweptImage, known)
    return found


def _read_fault(data: Fields) -> Fault:
    tuples = {name: tuple(data[name]) for name in ("changed", "pairs", "alone", "fingerprints")}
    found: Fault = _known(Fault, {**data, **tuples})
    return found


def _known(kind: Any, data: Fields) -> Any:
    """A dataclass of those fields that this version knows: a later one may have written more."""
    return kind(**{name: data[name] for name in kind.__dataclass_fields__ if name in data})

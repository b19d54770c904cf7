"""What did a saved report of ``locate`` say? Each part of the JSON as the noun that it was made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.core.answer import (
    AsFed,
    Cause,
    Effect,
    ModelInfo,
    OpInfo,
    Origin,
    OutputInfo,
    PairInfo,
    Reason,
    Report,
    TensorForm,
)
from segdiff.core.baseline import Baseline
from segdiff.core.device import DeviceInfo
from segdiff.core.edit import Edit, Node
from segdiff.core.environment import Computed, Environment
from segdiff.core.fed import InputComparison, InputFinding
from segdiff.core.files import HashedFile
from segdiff.core.inside import InsideOf
from segdiff.core.measured import Measured
from segdiff.core.metrics import INCOMPARABLE, Comparison, Metrics
from segdiff.core.outlets import Outlet, Outlets
from segdiff.core.precision import Precision
from segdiff.report.elsewhere import device_remark
from segdiff.report.kept_pictures import pictures_of

Fields = Mapping[str, Any]

SIDES = ("reference", "candidate")


def report_of(data: Fields) -> Report:
    """A report of ``locate``; the JSON must fit the schema."""
    image = data.get("image")
    precision, measured = data.get("precision"), data.get("measured")
    environment = data.get("environment")
    fed = data["input"]
    crossing = data["first_crossing"]
    return Report(
        verdict=data["verdict"],
        sentence=data.get("sentence", f"The verdict is {data['verdict']!r}."),
        coverage=(data["coverage"]["reference"], data["coverage"]["candidate"]),
        reference=_model(data["reference"]),
        candidate=_model(data["candidate"]),
        thresholds=dict(data["thresholds"]),
        outputs=tuple(map(_output, data["outputs"])),
        origins=tuple(map(_origin, data["origins"])),
        first_crossing=_crossing(crossing, data["pairs"]) if crossing else None,
        pairs=tuple(map(_pair, data["pairs"])),
        unmatched=(tuple(data["unmatched"]["reference"]), tuple(data["unmatched"]["candidate"])),
        input_findings=tuple(_how(fed)),
        remarks=tuple(data.get("remarks", ())),
        pictures=pictures_of(data.get("pictures")),
        device_remarks=tuple(map(device_remark, data.get("device_remarks", ()))),
        together=_effect(data.get("together")),
        as_fed=_as_fed(fed),
        precision=Precision(**_known(precision, Precision)) if precision else None,
        measured=Measured(**_known(measured, Measured)) if measured else None,
        device=_device(data.get("device")),
        timing_s=dict(data["timing_s"]),
        peak_memory_mb=data["peak_memory_mb"],
        image=image["path"] if image else None,
        image_file=_image_file(image),
        assumed=_assumed(fed),
        environment=_environment(environment) if environment else None,
        command=tuple(data["command"]) if data.get("command") else None,
        baseline=_baseline(data.get("baseline")),
    )


def _known(data: Fields, kind: Any) -> dict[str, Any]:
    """The fields that a class has, of those that a later version may have added to."""
    return {name: value for name, value in data.items() if name in kind.__dataclass_fields__}


def _device(data: Fields | None) -> DeviceInfo | None:
    if data is None:
        return None
    words = {name: tuple(data.get(name, ())) for name in ("remarks", "problems")}
    return DeviceInfo(**{**_known(data, DeviceInfo), **words, "path": Path(data["path"])})


def _model(data: Fields) -> ModelInfo:
    files = tuple(HashedFile(**_known(file, HashedFile)) for file in data.get("files", ()))
    return ModelInfo(Path(data["path"]), data["format"], data["ops"], data.get("opset"), files)


def _image_file(image: Fields | None) -> HashedFile | None:
    if image is None or image["bytes"] is None or image["sha256"] is None:
        return None
    return HashedFile(Path(image["path"]).name, image["bytes"], image["sha256"])


def _baseline(data: Fields | None) -> Baseline | None:
    if data is None:
        return None
    return Baseline(data["path"], tuple(data["known"]), tuple(data["new"]), tuple(data["gone"]))


def _environment(data: Fields) -> Environment:
    sides = [Computed(**_known(data[side], Computed)) for side in SIDES]
    return Environment(data["segdiff"], data["python"], data["platform"], *sides)


def metrics_of(data: Fields | None) -> Metrics | None:
    """The errors; what JSON could not say was infinite."""
    if data is None:
        return None
    return Metrics(**{k: math.inf if v is None else v for k, v in _known(data, Metrics).items()})


def comparison(
    data: Fields | None, mismatch: str | None = None, changed: float | None = None
) -> Comparison | None:
    """A comparison, as far as a report keeps it."""
    metrics = metrics_of(data)
    if metrics is None:
        return None
    return Comparison(
        metrics,
        scale=math.nan,
        rms=math.nan,
        size=0,
        discrete=changed is not None,
        changed=changed or 0.0,
        mismatch=mismatch,
        other_shape=bool(mismatch and mismatch.startswith("shape ")),
    )


def _output(data: Fields) -> OutputInfo:
    shape, dtype = (data.get(field) or {} for field in ("shape", "dtype"))
    ours, theirs = (_form(shape.get(side), dtype.get(side)) for side in SIDES)
    places = data.get("place") or {}
    return OutputInfo(
        data["reference"],
        data["candidate"],
        comparison(data["cumulative"], data.get("mismatch")),
        data["mask_changed"],
        (ours, theirs),
        (places.get("reference"), places.get("candidate")),
    )


def _form(shape: list[int] | None, dtype: str | None) -> TensorForm | None:
    return None if shape is None or dtype is None else TensorForm(tuple(shape), dtype)


def reason(why: Fields) -> Reason:
    """Why a pair is judged as it is; of a fault null is an infinite number of times its rounding."""
    times = math.inf if why["kind"] == "fault" and why["times"] is None else why["times"]
    return Reason(why["kind"], times, why["detail"])


def _pair(data: Fields) -> PairInfo:
    why, mismatch, changed = data.get("why"), data.get("mismatch") or {}, data.get("changed") or {}
    errors = {
        name: comparison(data[name], mismatch.get(name), changed.get(name))
        for name in ("cumulative", "isolated")
    }
    told = reason(why) if why else Reason("told", detail="not told")
    return PairInfo(
        reference=data["reference"],
        candidate=data["candidate"],
        reference_op=data["reference_op"],
        candidate_op=data["candidate_op"],
        shape=tuple(data.get("shape", ())),
        evidence=tuple(data["evidence"]),
        state=data.get("state", "unknown"),
        cumulative=errors["cumulative"],
        isolated=errors["isolated"],
        noise=comparison(data.get("rounding")),
        why=told,
    )


def _crossing(data: Fields, pairs: list[Fields]) -> PairInfo:
    """The pair in its row; where there is none, what is told of it."""
    for pair in pairs:
        if (pair["reference"], pair["candidate"]) == (data["reference"], data["candidate"]):
            return _pair(pair)
    return _pair({**data, "reference_op": "", "candidate_op": "", "evidence": [], "isolated": None})


def _origin(data: Fields) -> Origin:
    reference, candidate = data["reference"], data["candidate"]
    ops = tuple(
        OpInfo(op["type"], op.get("name", ""), tuple(op["outputs"]), op["attributes"])
        for op in reference["ops"]
    )
    nodes = tuple(
        OpInfo(node["op_type"], node["name"], tuple(node["outputs"]), node["attributes"])
        for node in candidate["nodes"]
    )
    pair = data.get("pair") or {
        "reference": reference["value"],
        "candidate": candidate["value"],
        "reference_op": ops[-1].type if ops else "",
        "candidate_op": nodes[-1].type if nodes else "",
        "evidence": [],
        "state": "origin",
        "cumulative": data["cumulative"],
        "isolated": data["isolated"],
        "why": {"kind": "told", "times": None, "detail": data.get("reason")},
    }
    return Origin(
        pair=_pair(pair),
        reference_ops=ops,
        candidate_nodes=nodes,
        inputs=tuple((each["reference"], each["candidate"]) for each in data.get("inputs", ())),
        confirmed=data.get("confirmed", False),
        cause=cause_of(data["cause"], candidate["value"]) if data["cause"] else None,
        effect=_effect(data["effect"]),
        inside=tuple(InsideOf(**_known(each, InsideOf)) for each in data.get("inside", ())),
        fingerprint=data.get("fingerprint") or "",
    )


def _effect(data: Fields | None) -> Effect | None:
    if data is None:
        return None
    removed = data["final_error_removed"]
    return Effect(-math.inf if removed is None else removed, data["mask_pixels_restored"])


def cause_of(data: Fields, value: str) -> Cause:
    """A cause. Of a proven one whose change an older report does not write it is known that there is one."""
    edits = tuple(map(_edit, data.get("edits", ())))
    if "edits" not in data and data["proven"] and not data["kind"].startswith(("runtime.", "output.")):
        edits = (Edit(value),)
    ends = data.get("gives_out")
    return Cause(
        data["kind"],
        data["text"],
        data["proven"],
        metrics_of(data["residual"]),
        metrics_of(data.get("before")),
        edits,
        Outlets(tuple(map(_outlet, ends))) if ends is not None else None,
    )


def _edit(data: Fields) -> Edit:
    inputs = {int(place): operand for place, operand in data["inputs"].items() if place.isdigit()}
    return Edit(
        data["value"],
        data["op_type"],
        data["attributes"],
        inputs,
        tuple(map(_node, data["nodes"])),
        tuple(map(_node, data["before"])),
        data["inside"] or "",
    )


def _node(data: Fields) -> Node:
    return Node(data["op_type"], tuple(data["inputs"]), tuple(data["outputs"]), data["attributes"])


def _outlet(data: Fields) -> Outlet:
    return Outlet(data["name"], data["value"], tuple(map(_node, data["nodes"])), data["of"] or "")


def _findings(data: Fields) -> list[InputFinding]:
    found = (*data.get("causes", ()), *data.get("differences", ()))
    return [InputFinding(f["kind"], f["text"], f["proven"], metrics_of(f["residual"])) for f in found]


def input_comparison(data: Fields) -> InputComparison:
    """What the candidate's own input does otherwise; ``metrics`` must be there."""
    metrics = metrics_of(data["metrics"]) or INCOMPARABLE
    return InputComparison(data["same"], metrics, tuple(_findings(data)), data.get("assumed", False))


def _as_fed(data: Fields) -> AsFed | None:
    if "metrics" not in data:
        return None
    outputs = tuple(map(_output, data.get("outputs", ())))
    return AsFed(input_comparison(data), outputs, data.get("problem"))


def _how(data: Fields) -> list[str]:
    """How the input was made, without the sentences on what is done otherwise."""
    if "how" in data:
        return list(data["how"])
    texts = {finding.text for finding in _findings(data)}
    return [each for each in data["findings"] if each not in texts]


def _assumed(data: Fields) -> str | None:
    told: str | None = data.get("assumption")
    return told or ("how the picture is prepared" if data.get("assumed") else None)

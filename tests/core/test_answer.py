"""The report as data: plain types, JSON without infinities, the promises of the schema."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdiff.core.answer import (
    EXIT_CODES,
    Cause,
    Effect,
    ModelInfo,
    OpInfo,
    Origin,
    OutputInfo,
    PairInfo,
    Report,
)
from segdiff.core.metrics import EQUAL, INCOMPARABLE, Comparison
from segdiff.core.plain import plain

BROKEN = Comparison(INCOMPARABLE, scale=math.nan, rms=math.nan, size=4, mismatch="shape [1] against [2]")
FINE = Comparison(EQUAL, scale=1.0, rms=1.0, size=4)


def pair(state: Any = "clean", isolated: Comparison | None = FINE) -> PairInfo:
    return PairInfo("r", "c", "relu", "Relu", (1, 2), ("name",), state, isolated, isolated)


def origin(**more: Any) -> Origin:
    attributes = {"alpha": 0.5, "pads": [1, 1], "value": np.arange(3), "kind": b"linear", "top": math.inf}
    return Origin(
        pair=pair("origin", BROKEN),
        reference_ops=(OpInfo("relu", "relu.0", ("r",), {"axis": np.int64(1)}),),
        candidate_nodes=(OpInfo("Relu", "Relu.7", ("c", "d"), attributes),),
        inputs=(("x", "x"),),
        confirmed=True,
        **more,
    )


def report(verdict: Any = "diverges", origins: tuple[Origin, ...] = (), **more: Any) -> Report:
    return Report(
        verdict=verdict,
        sentence="They part.",
        coverage=(1.0, 0.5),
        reference=ModelInfo(Path("a/model.json"), "pir", 7),
        candidate=ModelInfo(Path("a/model.onnx"), "onnx", 8),
        thresholds={"cosine": None, "rel_l2": 1e-3},
        outputs=(OutputInfo("r", "c", BROKEN, 0.25), OutputInfo("q", "", None, None)),
        origins=origins,
        first_crossing=pair("inherited", BROKEN),
        pairs=(pair(), pair("unknown", None)),
        unmatched=(("u",), ()),
        input_findings=("Took an array.",),
        **more,
    )


@pytest.mark.parametrize(("verdict", "code"), [("agrees", 0), ("diverges", 1), ("inconclusive", 2)])
def test_exit_codes(verdict: str, code: int) -> None:
    assert report(verdict).exit_code == EXIT_CODES[verdict] == code


def test_first_is_the_first_origin_or_none() -> None:
    one, two = origin(), origin()
    assert report(origins=(one, two)).first is one
    assert report().first is None


def test_the_json_is_strict_and_infinite_errors_are_null() -> None:
    found = json.loads(report(origins=(origin(),)).to_json(), parse_constant=pytest.fail)
    assert found["outputs"][0]["cumulative"] == {
        "cosine": 0.0, "max_abs": None, "mean_abs": None, "rel_l2": None, "max_rel": None,
    }  # fmt: skip
    lost = {"reference": "q", "candidate": "", "cumulative": None, "mask_changed": None}
    assert lost.items() <= found["outputs"][1].items()
    assert found["pairs"][1]["isolated"] is None
    assert found["unmatched"] == {"reference": ["u"], "candidate": []}
    assert found["coverage"] == {"reference": 1.0, "candidate": 0.5}
    kept = {"path": "a/model.json", "format": "pir", "ops": 7, "opset": None, "files": []}
    assert found["reference"] == kept
    assert found["input"]["findings"] == ["Took an array."]
    assert found["first_crossing"]["candidate"] == "c"


def test_to_dict_holds_plain_types_only() -> None:
    def check(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None)), repr(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    check(report(origins=(origin(),)).to_dict())


def test_an_origin_without_cause_and_effect_says_null() -> None:
    found = report(origins=(origin(),)).to_dict()["first"]
    assert (found["cause"], found["effect"]) == (None, None)
    (node,) = found["candidate"]["nodes"]
    assert (node["op_type"], node["name"], node["outputs"]) == ("Relu", "Relu.7", ["c", "d"])
    assert node["attributes"] == {
        "alpha": 0.5, "pads": [1, 1], "value": [0, 1, 2], "kind": "linear", "top": "inf",
    }  # fmt: skip
    op = {"type": "relu", "name": "relu.0", "outputs": ["r"], "attributes": {"axis": 1}}
    assert found["reference"]["ops"][0] == op


def test_an_origin_with_cause_and_effect() -> None:
    found = report(
        origins=(origin(cause=Cause("resize.mode", "it is", True, EQUAL), effect=Effect(0.9, 1.0)),)
    ).to_dict()["first"]
    cause = {"kind": "resize.mode", "text": "it is", "proven": True, "residual": EQUAL.to_dict()}
    assert cause.items() <= found["cause"].items()
    assert found["effect"] == {"final_error_removed": 0.9, "mask_pixels_restored": 1.0}
    bare = report(origins=(origin(cause=Cause("x", "y", False)),)).to_dict()["first"]
    assert bare["cause"]["residual"] is None


def test_the_repr_is_one_line_with_the_verdict() -> None:
    assert repr(report()) == "<segdiff.Report diverges: They part.>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array(3), 3),
        (np.zeros((4, 5), np.float32), "float32 [4, 5]"),
        (np.array([1.0, np.nan]), [1.0, "nan"]),
        (-math.inf, "-inf"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": {1: b"\xff"}}, {"a": {"1": "\ufffd"}}),
        (True, True),
        (np.bool_(False), False),
        (None, None),
        (Path("x"), "x"),
    ],
)
def test_attributes_become_what_json_can_hold(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)

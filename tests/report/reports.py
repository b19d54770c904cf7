"""Reports made by hand, one of every verdict, for the tests of what shows them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from segdiff.core.answer import (
    Cause,
    Effect,
    ModelInfo,
    OpInfo,
    Origin,
    OutputInfo,
    PairInfo,
    Reason,
    Report,
    State,
)
from segdiff.core.edit import Edit
from segdiff.core.metrics import INCOMPARABLE, Comparison, Metrics

CHAIN = (
    ("conv2d", "Conv"),
    ("batch_norm", "BatchNormalization"),
    ("relu", "Relu"),
    ("bilinear_interp_v2", "Resize"),
    ("concat", "Concat"),
)


def comparison(rel_l2: float, cosine: float | None = None, mismatch: str | None = None) -> Comparison:
    near = 1.0 - rel_l2**2 / 2 if cosine is None else cosine
    metrics = Metrics(near, rel_l2 * 4, rel_l2 / 2, rel_l2, rel_l2)
    return Comparison(metrics, scale=4.0, rms=1.0, size=4096, mismatch=mismatch)


def pair(index: int, state: State = "clean", isolated: float = 1.3e-7, cumulative: float = 4e-7) -> PairInfo:
    reference_op, candidate_op = CHAIN[index % len(CHAIN)]
    return PairInfo(
        reference=f"{reference_op}_{index}.tmp_0",
        candidate=f"p2o.{candidate_op}.{index}",
        reference_op=reference_op,
        candidate_op=candidate_op,
        shape=(1, 64, 32, 48),
        evidence=("parameters", "topology"),
        state=state,
        cumulative=comparison(cumulative),
        isolated=comparison(isolated),
        why=Reason("equal"),
    )


def faulty_pair(index: int, rel_l2: float = 0.16) -> PairInfo:
    return replace(
        pair(index, "origin", rel_l2, rel_l2 + 0.01),
        why=Reason("fault", 1.2e6),
        noise=comparison(1.4e-7),
    )


def origin(index: int = 8, rel_l2: float = 0.16, **changes: object) -> Origin:
    resize = OpInfo(
        "bilinear_interp_v2",
        "bilinear_interp_v2.3",
        (f"bilinear_interp_v2_{index}.tmp_0",),
        {
            "align_corners": True,
            "align_mode": 0,
            "data_layout": "NCHW",
            "interp_method": "bilinear",
            "out_h": 64,
            "out_w": 96,
            "scale": [2.0, 2.0],
        },
    )
    node = OpInfo(
        "Resize",
        "Resize_17",
        (f"p2o.Resize.{index}",),
        {
            "coordinate_transformation_mode": "half_pixel",
            "cubic_coeff_a": -0.75,
            "mode": "linear",
            "nearest_mode": "floor",
        },
    )
    cast = OpInfo("Cast", "", ("p2o.Cast.3",), {"to": 7})
    made = Origin(
        pair=faulty_pair(index, rel_l2),
        reference_ops=(resize,),
        candidate_nodes=(cast, node),
        inputs=((f"relu_{index - 1}.tmp_0", f"p2o.Relu.{index - 1}"),),
        confirmed=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def report(**changes: object) -> Report:
    """A model that agrees."""
    pairs = tuple(pair(index, isolated=(index + 1) * 1e-8) for index in range(30))
    made = Report(
        verdict="agrees",
        sentence="The models agree: no operator errs on equal inputs (30 compared).",
        coverage=(0.984, 1.0),
        reference=ModelInfo(Path("deploy/model.pdmodel"), "pdmodel", 128),
        candidate=ModelInfo(Path("deploy/model.onnx"), "onnx", 131),
        thresholds={
            "cosine": None,
            "abs_error": None,
            "rel_l2": None,
            "noise_factor": 24.0,
            "floor": 2.4e-7,
        },
        outputs=(OutputInfo("save_infer_model/scale_0.tmp_0", "p2o.Resize.28", comparison(3e-7), 0.0),),
        origins=(),
        first_crossing=None,
        pairs=pairs,
        unmatched=(("shape_0.tmp_0",), ()),
        input_findings=(
            "Read street.jpg, 512x1024 pixels, as BGR and turned it to RGB.",
            "Applied Normalize(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]) from deploy.yaml.",
        ),
        remarks=("2 values pick other elements where two are equal within rounding (ties).",),
        timing_s={"read": 0.4, "start": 1.5, "align": 0.2, "walk": 8.2, "settle": 0.0},
        peak_memory_mb=812.4,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def diverging(**changes: object) -> Report:
    """Origins at 8 and 20, everything below 8 inherits."""
    healthy = [pair(index) for index in range(8)]
    below = [pair(index, "inherited", 1.1e-7, 0.12) for index in range(9, 30)]
    pairs = [*healthy, faulty_pair(8), *below]
    pairs[20] = faulty_pair(20, 3e-3)
    other = origin(20, 3e-3, pair=pairs[20])
    made = report(
        verdict="diverges",
        sentence="The models diverge at Resize 'p2o.Resize.8', where Paddle has bilinear_interp_v2 "
        "'bilinear_interp_v2_8.tmp_0'; 1 more further down.",
        origins=(origin(), other),
        first_crossing=pairs[8],
        pairs=tuple(pairs),
        outputs=(OutputInfo("save_infer_model/scale_0.tmp_0", "p2o.Resize.28", comparison(0.12), 0.0723),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def explained() -> Report:
    """As the report looks once causes and effects are known."""
    cause = Cause(
        "resize.coordinate_mode",
        "ONNX Resize uses half_pixel where Paddle uses align_corners",
        proven=True,
        residual=comparison(2e-7).metrics,
        edits=(Edit("p2o.Resize.8", attributes={"coordinate_transformation_mode": "align_corners"}),),
    )
    made = diverging()
    first = replace(made.origins[0], cause=cause, effect=Effect(0.998, 1.0))
    return replace(made, origins=(first, *made.origins[1:]))


def inconclusive() -> Report:
    """The reference died in mid-run."""
    unknown = replace(
        pair(5, "unknown"),
        isolated=None,
        cumulative=None,
        why=Reason("unmeasured", detail="the candidate's segment failed"),
    )
    return report(
        verdict="inconclusive",
        sentence="The reference stopped at 'relu_7.tmp_0': out of memory.",
        pairs=(pair(0), pair(1), unknown),
        outputs=(OutputInfo("out", "", None, None),),
    )


def empty() -> Report:
    """Nothing at all is known."""
    return report(
        verdict="inconclusive",
        sentence="The two models have nothing in common.",
        coverage=(0.0, 0.0),
        thresholds={},
        outputs=(),
        pairs=(),
        unmatched=((), ()),
        input_findings=(),
        remarks=(),
        timing_s={},
        peak_memory_mb=0.0,
    )


def not_finite() -> Report:
    """NaN and infinity in every metric."""
    broken = Comparison(INCOMPARABLE, math.nan, math.nan, 8, mismatch="shape [1, 2] against [1, 3]")
    lost = Comparison(Metrics(*[math.nan] * 5), math.nan, math.nan, 8)
    bad = replace(faulty_pair(8), isolated=broken, cumulative=lost, noise=None, why=Reason("differs"))
    made = diverging()
    return replace(
        made,
        origins=(origin(pair=bad),),
        pairs=(*made.pairs[:8], bad),
        first_crossing=bad,
        outputs=(OutputInfo("out", "out", lost, math.nan),),
    )


HOSTILE = (
    "<script>alert(1)</script>[bold red]x[/]\x1b[31m\x1b]0;title\x07\n\r\t\u202eevil\ud800&\"'" + "z" * 5000
)


def hostile() -> Report:
    """Every text that a model file can choose is hostile."""
    op = OpInfo(
        HOSTILE, HOSTILE + "1", (HOSTILE,), {HOSTILE: HOSTILE, "list": [HOSTILE] * 20, "map": {"a": 1}}
    )
    bad = replace(
        faulty_pair(8),
        reference=HOSTILE,
        candidate=HOSTILE,
        reference_op=HOSTILE,
        candidate_op=HOSTILE,
        evidence=(HOSTILE,),
        why=Reason("mismatch", detail=HOSTILE),
        shape=(10**9,) * 40,
    )
    cause = Cause(HOSTILE, HOSTILE, proven=True)
    evil = Origin(bad, (op,) * 9, (op,) * 9, ((HOSTILE, HOSTILE),) * 9, False, cause)
    return diverging(
        sentence=HOSTILE,
        reference=ModelInfo(Path(HOSTILE), HOSTILE, 1),
        candidate=ModelInfo(Path(HOSTILE), HOSTILE, 1),
        origins=(evil,) * 30,
        first_crossing=replace(bad, reference=HOSTILE + "!"),
        pairs=(bad,) * 30,
        outputs=(OutputInfo(HOSTILE, HOSTILE, comparison(0.1), 0.5),) * 30,
        unmatched=((HOSTILE,), (HOSTILE,)),
        input_findings=(HOSTILE,),
        remarks=(HOSTILE,),
        timing_s={HOSTILE: 1.0},
    )

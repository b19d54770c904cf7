"""Reports of a graph as large as one likes, with pictures and faults, made by hand in no time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segdiff.core.answer import Effect, OpInfo, Origin, PairInfo, Reason, Report
from segdiff.core.outline import Drawn, Outline
from segdiff.core.pictured import Pictures
from tests.report import reports

KINDS = ("Conv", "BatchNormalization", "Relu", "Add", "Resize", "Concat", "Sigmoid", "Mul")


def outline(names: Sequence[str], kinds: Sequence[str] = KINDS) -> Outline:
    """A net in which every fourth operator reads one more, further up, and every fiftieth one far above."""
    nodes = []
    for place, name in enumerate(names):
        reads = [place - 1] if place else []
        reads += [place - 4] if place % 4 == 3 and place > 4 else []
        reads += [place - 45] if place % 50 == 49 else []
        nodes.append(
            Drawn(kinds[place % len(kinds)], f"{kinds[place % len(kinds)]}_{place}", tuple(reads), (name,))
        )
    return Outline(tuple(nodes))


def pictures(size: tuple[int, int] = (48, 64), seed: int = 0) -> Pictures:
    """A picture, masks that differ in some pixels, most of them mended, and an error."""
    random = np.random.default_rng(seed)
    truth = (np.add.outer(np.arange(size[0]) // 12, np.arange(size[1]) // 16) % 4).astype(np.uint8)
    flips = random.random(size) < 0.05
    left = flips & (random.random(size) < 0.2)
    candidate, mended = (np.where(where, (truth + 1) % 4, truth).astype(np.uint8) for where in (flips, left))
    image = random.integers(0, 255, (*size, 3), np.uint8)
    heat = np.abs(random.standard_normal(size)).astype(np.float32) * flips
    masks: dict[Any, Any] = {"reference": truth, "candidate": candidate, "repaired": mended}
    return Pictures(image, masks, heat=heat, heat_value="v", by_repair=True)


def report(
    count: int = 60, faults: Sequence[int] = (20, 40, 50), name: str = "v{}", **changes: Any
) -> Report:
    """A report of so many operators; those at ``faults`` err, what is below inherits."""
    pairs: list[PairInfo] = []
    for place in range(count):
        error = 0.1 * sum(fault <= place for fault in faults)
        made = reports.pair(place, "inherited" if error else "clean", 1e-7, error or 3e-7)
        if place in faults:
            made = replace(reports.faulty_pair(place, 0.1), noise=reports.comparison(1.4e-7))
        pairs.append(replace(made, reference=name.format(f"r{place}"), candidate=name.format(f"c{place}")))
    cause = reports.explained().origins[0].cause
    origins = []
    for place in faults:
        op = OpInfo(
            "bilinear_interp_v2", "", (pairs[place].reference,), {"align_corners": True, "align_mode": 0}
        )
        node = OpInfo(KINDS[place % 8], f"n{place}", (pairs[place].candidate,), {"mode": "linear", "a": 1})
        inputs = ((pairs[place - 1].reference, pairs[place - 1].candidate),)
        origins.append(Origin(pairs[place], (op,), (node,), inputs, True, cause, Effect(0.3, 0.4)))
    base: dict[str, Any] = {
        "verdict": "diverges" if faults else "agrees",
        "sentence": "The models diverge at Resize 'x'." if faults else "The models agree.",
        "pairs": tuple(pairs),
        "origins": tuple(origins),
        "first_crossing": pairs[faults[0]] if faults else None,
        "outlines": (outline([p.reference for p in pairs]), outline([p.candidate for p in pairs])),
        "pictures": pictures(),
        "together": Effect(0.99, 1.0) if faults else None,
    }
    return reports.report(**{**base, **changes})


def unknown(count: int) -> Report:
    """Nothing but the first pair was judged."""
    made = report(count, ())
    lost = [replace(p, state="unknown", isolated=None, why=Reason("unmeasured")) for p in made.pairs[1:]]
    return replace(made, pairs=(made.pairs[0], *lost), verdict="inconclusive")


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\"'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "${alert(1)}`",
    "<!--<script>",
    "]]><x>",
    "&lt;script&gt;",
    "' autofocus onfocus='alert(1)",
    "</title></style></textarea><iframe srcdoc='<script>parent.ran=1</script>'>",
    "\u2028alert(1)\u2029\u202e\ud800\x00\x1b[31m",
    "%3Cscript%3E\\u003cscript\\u003e",
    "a" * 3000,
    "__proto__",
    "constructor",
    "pair-1",
    "#data",
    "<base href='https://example.org/'>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
)
"""Names that a model file may have; {} of each is filled in so that no two are equal."""


def hostile(count: int = 200) -> Report:
    """So many operators, each with a name of its own that would like to be run."""
    names = [f"{HOSTILE[place % len(HOSTILE)]}{place}" for place in range(count)]
    made = report(count, (20, 40, 50))
    pairs = tuple(
        replace(p, reference=n, candidate=n, reference_op=n, candidate_op=n, why=replace(p.why, detail=n))
        for p, n in zip(made.pairs, names, strict=True)
    )
    evil = names[11]
    op = OpInfo(evil, evil, (names[20],), {evil: evil, "b": [evil] * 3})
    base = reports.hostile().origins[0]
    origins = [
        replace(
            base,
            pair=pairs[place],
            reference_ops=(replace(op, outputs=(names[place],)),) * 2,
            candidate_nodes=(replace(op, outputs=(names[place],)),),
        )
        for place in (20, 40, 50)
    ]
    shown = replace(pictures(), heat_value=evil, missing={"labels": evil})
    return replace(
        made,
        pairs=pairs,
        origins=tuple(origins),
        sentence=evil,
        outlines=(outline(names, names), outline(names, names)),
        pictures=shown,
        remarks=(evil, names[1]),
        input_findings=(evil,),
        command=("locate", evil),
        image=evil,
        timing_s={evil: 1.0},
    )

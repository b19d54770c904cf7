"""GridSample: what -1 and 1 mean, what lies outside, how neighbours are mixed.

Paddle's ``grid_sampler``: ``align_corners``, ``mode`` (bilinear, nearest), ``padding_mode`` (zeros, border,
reflection). ONNX: from opset 16; the mode is called bilinear and bicubic up to 19, linear and cubic from 20.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import setting

RENAMED = 20
"""The opset in which bilinear became linear."""

_KINDS = {
    "align_corners": "grid_sample.align_corners",
    "padding_mode": "grid_sample.padding_mode",
    "mode": "grid_sample.mode",
}


@family("GridSample", "com.microsoft.GridSample")
def grid_sample(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The reference's settings, then every other one."""
    partner = partner_of(case, op, "grid_sample")
    wanted = _settings(partner) if partner is not None else {}
    choices: dict[str, tuple[Any, ...]] = {
        "align_corners": (0, 1),
        "padding_mode": ("zeros", "border", "reflection"),
        "mode": ("linear", "nearest", "cubic"),
    }
    here = _settings(op)
    short = op.type == "GridSample" and case.opset >= RENAMED
    for name, values in choices.items():
        for value in sorted(values, key=lambda value: value != wanted.get(name)):
            if value != here[name]:
                said = value if name != "mode" or short or value == "nearest" else f"bi{value}"
                yield setting(
                    op,
                    _KINDS[name],
                    name,
                    here[name],
                    said,
                    expected=name in wanted and value == wanted[name],
                )


def _settings(op: Op) -> dict[str, Any]:
    """The three settings in the words of opset 20, with the defaults of the op's framework."""
    ours = op.type[0].isupper() or "." in op.type
    attributes = op.attributes
    return {
        "align_corners": int(attributes.get("align_corners", 0 if ours else 1)),
        "padding_mode": str(attributes.get("padding_mode", "zeros")),
        "mode": str(attributes.get("mode", "bilinear")).removeprefix("bi"),
    }

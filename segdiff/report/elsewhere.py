"""How is it told what a device may read otherwise? Where a kind of such a remark becomes words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from segdiff.core.answer import Origin, Report
from segdiff.core.elsewhere import DeviceRemark
from segdiff.core.plain import plain
from segdiff.core.printable import clean
from segdiff.report.text import shorten

DEVICE_HEADING = "What a device may read otherwise (remarks, no findings)"

NAMED = 3
"""Nodes that a remark names."""

NAME = 60
"""Cells of a name."""


def device_text(remark: DeviceRemark) -> str:
    """A remark in words; one of a kind that is not known here, or read from a file without its facts, is told
    by its kind."""
    facts = remark.facts
    words = {
        "device.softmax_axis": _softmax,
        "device.resize": _resize,
        "device.same_pads": _same_pads,
        "device.int64_output": lambda facts: (
            "int64 goes out: a device that has no int64 returns int32; segdiff reads both as the same"
        ),
        "device.dynamic_axes": _dynamic,
    }.get(remark.kind)
    try:
        return words(facts) if words else clean(remark.kind)
    except (KeyError, TypeError, AttributeError):
        return clean(remark.kind)


def _softmax(facts: Any) -> str:
    rank = f" of {facts['rank']}" if facts["rank"] else ""
    return (
        f"{facts['operator']} with axis {facts['axis']}{rank} before opset 13: to ONNX one over that axis "
        "and all behind it, which many read as that axis alone"
    )


def _resize(facts: Any) -> str:
    settings = ", ".join(f"{name} {clean(value, 40)}" for name, value in facts.items())
    return f"a Resize of {settings}: compilers know few of these, and take the nearest that they know"


def _same_pads(facts: Any) -> str:
    side = "end" if facts["auto_pad"] == "SAME_UPPER" else "beginning"
    may = "is" if facts["sure"] else "may be (by the size of the input)"
    told = f"auto_pad {facts['auto_pad']} {may} one more at the {side}"
    return f"{told}: some pad both sides alike, or at the other"


def _dynamic(facts: Any) -> str:
    shapes = ", ".join(f"{clean(name, NAME)} {_shape(shape)}" for name, shape in facts["shapes"].items())
    return (
        f"axes are open ({shapes}): a build for a device has one shape, or a list of them; fed another it "
        "fails, or returns what it was built for (compare at that shape: --batch, --sizes)"
    )


def _shape(shape: Sequence[int | None]) -> str:
    return "x".join("?" if length is None else str(length) for length in shape)


def remarks_on(report: Report, origin: Origin) -> Iterator[tuple[str, str]]:
    """Of an operator that a device computes otherwise: what of it is known to be read otherwise."""
    if report.device is None:
        return
    names = {node.name for node in origin.candidate_nodes}
    for remark in report.device_remarks:
        if names & set(remark.nodes):
            yield "perhaps", f"{device_text(remark)} [{clean(remark.kind)}]"


def device_lines(remarks: Iterable[DeviceRemark]) -> Iterator[tuple[str, str]]:
    """Each remark with its nodes and its kind, a line each."""
    for remark in remarks:
        names = [shorten(clean(name), NAME) for name in remark.nodes[:NAMED]]
        more = f" and {len(remark.nodes) - NAMED} more" if len(remark.nodes) > NAMED else ""
        yield f"{', '.join(names)}{more}", f"{device_text(remark)} [{clean(remark.kind)}]"


def device_remark_to_dict(remark: DeviceRemark) -> dict[str, Any]:
    """A remark as docs/json.md has it."""
    facts = plain(remark.facts)
    return {"kind": remark.kind, "nodes": list(remark.nodes), "text": remark.text, "facts": facts}


def device_remark(data: Mapping[str, Any]) -> DeviceRemark:
    """The remark that such a dict holds; the JSON must fit the schema."""
    return DeviceRemark(data["kind"], tuple(data["nodes"]), data["facts"])

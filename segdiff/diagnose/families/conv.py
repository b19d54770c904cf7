"""Conv, ConvTranspose, DeformConv: padding, stride, dilation, groups, output padding.

Paddle (phi/kernels/cpu/conv_util.h, UpdatePaddingAndDilation): ``paddings`` has one number an axis, or begin
and end of each; ``padding_algorithm`` SAME pads for ``ceil(size / stride)`` outputs, the odd one at the end,
and takes every dilation as 1; VALID pads nothing. ONNX: all begins, then all ends; ``auto_pad`` overrules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of

CONVOLUTIONS = frozenset({"conv", "conv_transpose", "deform_conv"})


@dataclass(frozen=True)
class Settings:
    """What a convolution does along its spatial axes; ``pads`` are begins, then ends."""

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    group: int
    output_padding: tuple[int, ...]


_NAMES = {
    "strides": "strides",
    "pads": "padding",
    "dilations": "dilations",
    "group": "groups",
    "output_padding": "output padding",
}


@family("Conv", "ConvTranspose", "DeformConv", "com.microsoft.FusedConv", "QLinearConv", "ConvInteger")
def conv(case: Case, op: Op) -> Iterator[Hypothesis]:
    """What the reference's convolution asks for; where there is none, the paddings that go wrong."""
    sizes = _sizes(case, op)
    if sizes is None:
        return
    partner = partner_of(case, op)
    now = _onnx_settings(op, *sizes)
    want = settings(case, partner, *sizes) if partner is not None else None
    if want is not None:
        yield from _asked(case, op, now, want)
    else:
        yield from _suspects(op, now)
    yield from _deform_groups(case, op, partner)


def _sizes(case: Case, op: Op) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Spatial lengths of the input and of the kernel; None where either is unknown."""
    place = 3 if op.type == "QLinearConv" else 1
    data, weight = case.shape(case.operand(op, 0)), case.shape(case.operand(op, place))
    if data is None or weight is None or len(data) != len(weight) or len(data) < 3:
        return None
    return data[2:], weight[2:]


def settings(case: Case, op: Op, size: tuple[int, ...], kernel: tuple[int, ...]) -> Settings | None:
    """The settings of a reference's convolution; None where it is none, or says something unknown."""
    if kind_of(op) not in CONVOLUTIONS:
        return None
    if "strides" in op.attributes and ("paddings" in op.attributes or "padding_algorithm" in op.attributes):
        return _paddle_settings(case, op, size, kernel)
    return _onnx_settings(op, size, kernel) if op.type[:1].isupper() or "." in op.type else None


def _onnx_settings(op: Op, size: tuple[int, ...], kernel: tuple[int, ...]) -> Settings:
    rank, attributes = len(size), op.attributes
    strides, dilations = (_ints(attributes.get(name), (1,) * rank) for name in ("strides", "dilations"))
    pads = _ints(attributes.get("pads"), (0,) * 2 * rank)
    automatic = str(attributes.get("auto_pad", "NOTSET"))
    if automatic == "VALID":
        pads = (0,) * 2 * rank
    elif automatic.startswith("SAME") and kind_of(op) != "conv_transpose":
        pads = same_pads(size, kernel, strides, dilations, upper=automatic == "SAME_UPPER")
    return Settings(
        strides,
        pads,
        dilations,
        int(attributes.get("group", 1)),
        _ints(attributes.get("output_padding"), (0,) * rank),
    )


def _paddle_settings(case: Case, op: Op, size: tuple[int, ...], kernel: tuple[int, ...]) -> Settings | None:
    rank, attributes = len(size), op.attributes
    strides, dilations = (_ints(attributes.get(name), (1,) * rank) for name in ("strides", "dilations"))
    given = _ints(attributes.get("paddings"), (0,) * rank)
    if len(given) == rank:
        pads = given * 2
    elif len(given) == 2 * rank:
        pads = given[::2] + given[1::2]
    else:
        return None
    algorithm = str(attributes.get("padding_algorithm", "EXPLICIT"))
    if algorithm == "VALID":
        pads = (0,) * 2 * rank
    elif algorithm == "SAME":
        dilations = (1,) * rank
        pads = same_pads(size, kernel, strides, dilations, upper=True)
    group = int(attributes.get("groups", 1) or 1)
    padding = _ints(attributes.get("output_padding"), ()) or (0,) * rank
    asked = case.asked(op, "output_size", "OutputSizeTensor")
    if kind_of(op) == "conv_transpose" and asked is not None and len(asked) == rank:
        small = [
            (n - 1) * s - pads[a] - pads[a + rank] + d * (k - 1) + 1
            for a, (n, s, d, k) in enumerate(zip(size, strides, dilations, kernel, strict=True))
        ]
        padding = tuple(int(wanted) - least for wanted, least in zip(asked, small, strict=True))
    return Settings(strides, pads, dilations, group, padding)


def same_pads(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    *,
    upper: bool,
) -> tuple[int, ...]:
    """Padding for ``ceil(size / stride)`` outputs; ``upper``: the odd one stands at the end."""
    totals = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(size, kernel, strides, dilations, strict=True)
    ]
    less, more = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return less + more if upper else more + less


def _ints(value: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    return default if value is None or len(value) == 0 else tuple(int(v) for v in value)


def _asked(case: Case, op: Op, now: Settings, want: Settings) -> Iterator[Hypothesis]:
    """Every setting that differs, alone; then together with the padding, which belongs to the others."""
    differing = [name for name in _NAMES if getattr(now, name) != getattr(want, name)]
    yield from (_set(op, [name], now, want) for name in differing)
    others = [name for name in differing if name != "pads"]
    if others and "pads" in differing:
        yield from (_set(op, [name, "pads"], now, want) for name in others)


def _set(op: Op, names: list[str], now: Settings, want: Settings) -> Hypothesis:
    """The settings of these names as the reference has them; the first gives the kind."""
    attributes: dict[str, Any] = {}
    for name in names:
        value = getattr(want, name)
        attributes[name] = value if isinstance(value, int) else list(value)
    if "pads" in names and "auto_pad" in op.attributes:
        attributes["auto_pad"] = None
    if "output_padding" in names and "output_shape" in op.attributes:
        attributes["output_shape"] = None
    sides = [", ".join(f"{_NAMES[n]} {_shown(getattr(s, n))}" for n in names) for s in (now, want)]
    text = f"{op.type} has {sides[0]} where the reference has {sides[1]}"
    return Hypothesis(f"conv.{names[0]}", text, (Edit(op.outputs[0], attributes=attributes),), expected=True)


def _shown(value: int | tuple[int, ...]) -> str:
    return str(value if isinstance(value, int) else list(value))


def _deform_groups(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    """DeformConv shares its offsets among groups of channels."""
    want = case.asked(partner, "deformable_groups", "offset_group")
    now = int(op.attributes.get("offset_group", 1))
    if op.type == "DeformConv" and want is not None and int(want) != now:
        text = f"DeformConv has {now} groups of offsets where the reference has {int(want)}"
        edit = Edit(op.outputs[0], attributes={"offset_group": int(want)})
        yield Hypothesis("conv.offset_group", text, (edit,), expected=True)


def _suspects(op: Op, now: Settings) -> Iterator[Hypothesis]:
    """Paddings of the same total: begin and end exchanged, height and width, a row moved to the other end."""
    rank = len(now.strides)
    begin, end = now.pads[:rank], now.pads[rank:]
    tries = [end + begin, begin[::-1] + end[::-1]]
    for axis in range(rank):
        for source, sink in ((axis, axis + rank), (axis + rank, axis)):
            moved = list(now.pads)
            moved[source] -= 1
            moved[sink] += 1
            tries += [tuple(moved)] if moved[source] >= 0 else []
    for pads in dict.fromkeys(tries):
        if pads != now.pads:
            attributes: dict[str, Any] = {"pads": list(pads)}
            if "auto_pad" in op.attributes:
                attributes["auto_pad"] = None
            text = f"{op.type} has padding {list(now.pads)} and agrees with {list(pads)}"
            yield Hypothesis("conv.pads", text, (Edit(op.outputs[0], attributes=attributes),))

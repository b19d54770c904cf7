"""How does a device's order of dimensions become the one that the ONNX file has?

Each rule says, from the stored shape alone, which shape it would make and how. Channels and rows that a
device pads are cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod

from segdiff.core.graph import Array, Shape

CUBES = frozenset({8, 16, 32, 64})
"""Channels in a block of NC1HWC0, side of a block of FRACTAL_NZ: 16 of float16, 8 of float32, 32 of int8."""

PLAIN = frozenset({"NCHW", "ND", "NCDHW", "NCL", "NCW"})
"""Layouts that need nothing undone."""


@dataclass(frozen=True)
class Turn:
    """One way to read an array: the ``shape`` it then has, and ``words`` for what was undone."""

    shape: tuple[int, ...]
    words: str
    apply: Callable[[Array], Array] = field(repr=False, compare=False)


def declared(layout: str, shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    """The turn that undoes a layout; None where the shape cannot have it.

    ``original`` is the shape without padding, which the layouts that pad cannot be undone without.
    """
    rule = _RULES.get(layout)
    return rule(shape, original) if rule else None


def is_blocked(layout: str) -> bool:
    """Whether a layout pads: its shape alone does not say how much of it is the tensor."""
    return layout in _BLOCKED


def looks_blocked(shape: tuple[int, ...]) -> bool:
    """Whether a shape may be one of a device's blocks."""
    return len(shape) >= 4 and shape[-1] in CUBES


def completed(layout: str, shape: tuple[int, ...], wanted: Shape | None) -> tuple[int, ...] | None:
    """The declared shape, its open sizes taken from the stored one where that is no block's; None where it
    cannot be known."""
    if wanted is None:
        return None
    if layout == "NC1HWC0" and len(shape) == 5 and len(wanted) == 4:
        stands: Shape = (shape[0], None, shape[2], shape[3])
    elif layout == "NDC1HWC0" and len(shape) == 6 and len(wanted) == 5:
        stands = (shape[0], None, shape[1], shape[3], shape[4])
    elif layout == "FRACTAL_NZ" and len(shape) == len(wanted) + 2:
        stands = (*shape[:-4], None, None)
    else:
        stands = (None,) * len(wanted)
    whole = [want if want is not None else have for want, have in zip(wanted, stands, strict=True)]
    known = tuple(dim for dim in whole if dim is not None)
    return known if len(known) == len(whole) else None


def known(layout: str) -> bool:
    """Whether a layout of that name can be undone, or needs nothing."""
    return layout in PLAIN or layout in _RULES


def possible(shape: tuple[int, ...], wanted: Shape) -> Iterator[Turn]:
    """The turns that make a shape one that the ONNX file declares, where the dump says nothing."""
    for layout in ("NHWC", "NDHWC"):
        turn = declared(layout, shape, None)
        if turn is not None and fits(turn.shape, wanted):
            yield turn
    for layout in sorted(_BLOCKED):
        original = completed(layout, shape, wanted)
        turn = declared(layout, shape, original) if original and prod(original) else None
        if turn is not None and turn.shape == original and _blocks(layout, shape):
            yield turn


_BLOCKED = frozenset({"NC1HWC0", "NDC1HWC0", "FRACTAL_NZ"})


def _blocks(layout: str, shape: tuple[int, ...]) -> bool:
    """Whether the inner dimensions are those of a device's blocks."""
    inner = shape[-2:] if layout == "FRACTAL_NZ" else shape[-1:]
    return all(dim in CUBES for dim in inner)


def fits(shape: tuple[int, ...], wanted: Shape | None) -> bool:
    """Whether a shape is one that is declared; an open dimension takes any."""
    return wanted is None or (
        len(shape) == len(wanted)
        and all(want is None or have == want for have, want in zip(shape, wanted, strict=True))
    )


def _nhwc(shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    if len(shape) != 4:
        return None
    n, h, w, c = shape
    return Turn((n, c, h, w), "NHWC to NCHW", lambda array: array.transpose(0, 3, 1, 2))


def _ndhwc(shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    if len(shape) != 5:
        return None
    n, d, h, w, c = shape
    return Turn((n, c, d, h, w), "NDHWC to NCDHW", lambda array: array.transpose(0, 4, 1, 2, 3))


def _hwcn(shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    if len(shape) != 4:
        return None
    h, w, c, n = shape
    return Turn((n, c, h, w), "HWCN to NCHW", lambda array: array.transpose(3, 2, 0, 1))


def _nc1hwc0(shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    if len(shape) != 5:
        return None
    n, blocks, h, w, block = shape
    channels = _channels((n, h, w), blocks, block, original)
    if channels is None:
        return None

    def undone(array: Array) -> Array:
        whole: Array = array.transpose(0, 1, 4, 2, 3).reshape(n, blocks * block, h, w)
        return whole[:, :channels]

    return Turn((n, channels, h, w), "NC1HWC0 to NCHW", undone)


def _ndc1hwc0(shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    if len(shape) != 6:
        return None
    n, d, blocks, h, w, block = shape
    channels = _channels((n, d, h, w), blocks, block, original)
    if channels is None:
        return None

    def undone(array: Array) -> Array:
        whole: Array = array.transpose(0, 2, 5, 1, 3, 4).reshape(n, blocks * block, d, h, w)
        return whole[:, :channels]

    return Turn((n, channels, d, h, w), "NDC1HWC0 to NCDHW", undone)


def _channels(rest: tuple[int, ...], blocks: int, block: int, original: tuple[int, ...] | None) -> int | None:
    """How many channels are no padding; None where the original shape is another tensor's.

    The original may stand with its channels second or last.
    """
    if not original:
        return None
    size = len(rest) + 1
    whole = original + (1,) * (size - len(original))  # a vector of channels is (N, C) or (N, C, 1, 1)
    for channels, others in ((whole[1], whole[:1] + whole[2:]), (whole[-1], whole[:-1])):
        if block and others == rest and -(-channels // block) == blocks:
            return channels
    return None


def _fractal_nz(shape: tuple[int, ...], original: tuple[int, ...] | None) -> Turn | None:
    if len(shape) < 4 or not original:
        return None
    *lead, n1, m1, m0, n0 = shape
    rows, columns = m1 * m0, n1 * n0
    last = (1, *original) if len(original) == 1 else original
    fit = rows - m0 < last[-2] <= rows and columns - n0 < last[-1] <= columns
    if prod(last[:-2]) != prod(lead) or not fit:
        return None
    order = (*range(len(lead)), len(lead) + 1, len(lead) + 2, len(lead), len(lead) + 3)

    def undone(array: Array) -> Array:
        whole: Array = array.transpose(order).reshape(*lead, rows, columns)
        return whole[..., : last[-2], : last[-1]].reshape(original)

    return Turn(original, "FRACTAL_NZ to ND", undone)


_RULES: dict[str, Callable[[tuple[int, ...], tuple[int, ...] | None], Turn | None]] = {
    "NHWC": _nhwc,
    "NDHWC": _ndhwc,
    "HWCN": _hwcn,
    "NC1HWC0": _nc1hwc0,
    "NDC1HWC0": _ndc1hwc0,
    "FRACTAL_NZ": _fractal_nz,
}

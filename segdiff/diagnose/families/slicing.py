"""Slice: where the window starts and ends, along which axes, in which steps.

Paddle: ``slice`` (axes, starts, ends) and ``strided_slice`` (strides too). ONNX: attributes up to opset 9,
operands and steps from 10.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdiff.core.edit import Edit
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import first, integers, is_attribute, places, spelt, their_integers

MOST = 30
"""Suspects of one node."""


@dataclass(frozen=True)
class Window:
    """Start, end and step along one axis of ``size``, counted from the front.

    ``said`` are start and end as the operator has them: -1 or a very large end stay so in a repair.
    """

    axis: int
    start: int
    end: int
    step: int
    size: int
    said: tuple[int, int] = field(compare=False)

    def moved(self, start: int, end: int) -> Window:
        """The window with another start and end, said in the same way: negative numbers stay negative."""
        first_said, last_said = self.said
        if start != self.start:
            first_said = start - self.size if first_said < 0 else start
        if end != self.end:
            last_said = (end - self.size or _TO_THE_END) if last_said < 0 else end
        return Window(self.axis, start, end, self.step, self.size, (first_said, last_said))


_TO_THE_END = 2**31 - 1


def _window(axis: int, start: int, end: int, step: int, size: int) -> Window:
    low, high = (-1, size - 1) if step < 0 else (0, size)
    first, last = (value + size if value < 0 else value for value in (start, end))
    first, last = min(max(first, 0), high), min(max(last, low), size)
    return Window(axis, first, last, step, size, (start, end))


@family("Slice")
def window(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The reference's window; then the window moved by one, or by its own length, along one axis."""
    shape = case.shape(case.operand(op, 0))
    said = (integers(case, op, name, place) for place, name in enumerate(_NAMES, start=1))
    now = _windows(op, shape, *said)
    if shape is None or now is None:
        return
    wanted = _theirs(case, partner_of(case, op), shape)
    if wanted is not None and wanted and wanted != now:
        yield from _changed(case, op, now, wanted, expected=True)
    for windows in first(_suspects(now), MOST):
        if windows != wanted:
            yield from _changed(case, op, now, windows, expected=False)


_NAMES = ("starts", "ends", "axes", "steps")


def _windows(
    op: Op,
    shape: tuple[int, ...] | None,
    starts: list[int] | None,
    ends: list[int] | None,
    axes: list[int] | None,
    steps: list[int] | None,
) -> tuple[Window, ...] | None:
    """The windows of a node in the order of their axes, from the front; None where they are computed."""
    if shape is None or starts is None or ends is None or len(starts) != len(ends):
        return None
    if (axes is None and "3" in op.slots) or (steps is None and "4" in op.slots):
        return None
    axes = places(range(len(starts)) if axes is None else axes, len(shape))
    steps = steps or [1] * len(starts)
    if not len(axes) == len(starts) == len(steps) or 0 in steps:
        return None
    rows = zip(axes, starts, ends, steps, strict=True)
    return tuple(sorted((_window(*row, shape[row[0]]) for row in rows), key=lambda w: w.axis))


def _theirs(case: Case, partner: Op | None, shape: tuple[int, ...]) -> tuple[Window, ...] | None:
    if partner is None or partner.type not in ("slice", "strided_slice", "Slice"):
        return None
    if any(slot.endswith("TensorList") for slot in partner.slots):
        return None  # computed piece by piece
    starts = their_integers(case, partner, 1, "StartsTensor", "starts")
    ends = their_integers(case, partner, 2, "EndsTensor", "ends")
    axes = their_integers(case, partner, 3, "axes")
    steps = their_integers(case, partner, 4, "StridesTensor", "strides", "steps")
    return _windows(partner, shape, starts, ends, axes, steps)


def _suspects(now: tuple[Window, ...]) -> Iterator[tuple[Window, ...]]:
    """Windows of the same length, moved by one or by their length; of a stride, another phase; the ends."""
    near: list[Window] = []
    far: list[Window] = []
    for old in now:
        length = old.end - old.start
        if old.step < 1 or length < 1:
            continue
        steps = [(near, -1), (near, 1), (far, -length), (far, length)]
        for moves, shift in steps[: 2 if length == 1 else 4]:
            start, end = old.start + shift, old.end + shift
            if start >= 0 and end <= old.size:
                moves.append(old.moved(start, end))
        if old.step > 1:
            phases = (phase for phase in (old.start - 1, old.start + 1) if 0 <= phase < old.end)
            near += [old.moved(phase, old.end) for phase in phases]
    ends = [old.moved(old.start, end) for old in now for end in (old.end + 1, old.end - 1)]
    ends = [new for new in ends if new.step == 1 and new.start < new.end <= new.size]
    for new in (*near, *far, *ends):
        yield tuple(new if old.axis == new.axis else old for old in now)


def _changed(
    case: Case, op: Op, now: tuple[Window, ...], new: tuple[Window, ...], *, expected: bool
) -> Iterator[Hypothesis]:
    edit = _edit(case, op, new)
    if edit is not None:
        kind, where = _kind(now, new), "where the reference has" if expected else "but agrees with"
        text = f"Slice takes {_words(now)} {where} {_words(new)}"
        yield Hypothesis(kind, text, (edit,), expected)


def _kind(now: tuple[Window, ...], new: tuple[Window, ...]) -> str:
    """What differs first: the axes, the steps, the starts, the ends."""
    if [w.axis for w in now] != [w.axis for w in new]:
        return "slice.axes"
    if [w.step for w in now] != [w.step for w in new]:
        return "slice.step"
    return "slice.start" if [w.start for w in now] != [w.start for w in new] else "slice.end"


def _words(windows: tuple[Window, ...]) -> str:
    return " and ".join(
        f"{w.start}:{w.end}{'' if w.step == 1 else f':{w.step}'} of axis {w.axis}" for w in windows
    )


def _edit(case: Case, op: Op, new: tuple[Window, ...]) -> Edit | None:
    """The node with these windows, in its own order of axes; None where its opset knows no steps."""
    own = places(integers(case, op, "axes", 3) or [], len(case.shape(case.operand(op, 0)) or ()))
    order = own if sorted(own) == [w.axis for w in new] else [w.axis for w in new]
    new = tuple(sorted(new, key=lambda w: order.index(w.axis)))
    values = {"starts": (1, [w.said[0] for w in new]), "ends": (2, [w.said[1] for w in new])}
    if order != own:
        values["axes"] = (3, order)
    if [w.step for w in new] != (integers(case, op, "steps", 4) or [1] * len(new)):
        if is_attribute("Slice", "starts", case.opset):
            return None
        values |= {"axes": (3, order), "steps": (4, [w.step for w in new])}
    return spelt(case, op, **values)

"""What do the measurements say? Shares, reasons, a verdict and a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segdiff.core.half import Cost, HalfOp, HalfVerdict
from segdiff.half.answer import heavy
from segdiff.half.groups import Group
from segdiff.half.measure import Measured
from segdiff.half.reasons import Reasons
from segdiff.half.shares import Part

ALLOWED_ERROR = 0.01
"""``rel_l2`` that a model may lose which gives no mask: a percent."""

REASONED = 5
"""Ops, the heaviest, whose reason is told, if they have a hundredth of the loss."""

WORTH_A_REASON = 0.01


def ops_of(groups: Sequence[Group], found: Measured, reasons: Reasons) -> tuple[HalfOp, ...]:
    """Each group with its share, the largest first; those without one stand last, by their place."""
    shares, spreads = shares_of(found.parts, len(groups))
    order = sorted(range(len(groups)), key=lambda place: (-(shares[place] or 0.0), place))
    order.sort(key=lambda place: shares[place] is None)
    told = []
    for rank, place in enumerate(order):
        each, share = groups[place], shares[place]
        kind, text = None, ""
        if rank < REASONED and share is not None and share >= WORTH_A_REASON:
            kind, text = reasons.of(place)
        alone = found.alone.get(place)
        told.append(
            HalfOp(
                each.names,
                each.value,
                share,
                alone.cost() if alone else None,
                kind,
                text,
                reasons.how.cannot_keep.isdisjoint(each.types),
                spreads[place],
            )
        )
    return tuple(told)


def shares_of(parts: Sequence[Sequence[Part]], count: int) -> tuple[list[float | None], list[float | None]]:
    """Each group's share of the sum of squared errors, the mean over the images, and its deviation over them.

    None for what was not rounded alone on every image.
    """
    by_image = []
    for each in parts:
        total = sum(part.error for part in each)
        known = {
            part.groups[0]: part.error / total if total else 0.0
            for part in each
            if len(part.groups) == 1 and part.differences is not None
        }
        by_image.append(known)
    shares: list[float | None] = []
    spreads: list[float | None] = []
    for place in range(count):
        found = [known[place] for known in by_image if place in known]
        whole = bool(found) and len(found) == len(by_image)
        shares.append(float(np.mean(found)) if whole else None)
        spreads.append(float(np.std(found)) if whole and len(found) > 1 else None)
    return shares, spreads


def largest_unmeasured(parts: Sequence[Sequence[Part]]) -> float | None:
    """The most that one of the groups can have which were not rounded alone; None where all were."""
    bounds = [
        part.error / total
        for each in parts
        if (total := sum(part.error for part in each))
        for part in each
        if part.differences is None
    ]
    return max(bounds, default=None)


def verdict_of(cost: Cost | None, allowed: float, measured: Measured) -> HalfVerdict:
    """Keeps where mask and score are as they were, within what is allowed.

    The score may fall by as many points as percent of the mask may change. A model without a mask keeps its
    output within a percent. What is no longer finite is lost.
    """
    if cost is None:
        return "inconclusive"
    if any(each.lost for each in measured.tally.outputs.values()):
        return "loses"
    if cost.miou_points is not None and cost.miou_points > 100 * allowed:
        return "loses"
    if cost.mask_changed is not None:
        return "keeps" if cost.mask_changed <= allowed else "loses"
    return "keeps" if cost.rel_l2 <= ALLOWED_ERROR else "loses"


def sentence_of(
    verdict: HalfVerdict,
    precision: str,
    cost: Cost | None,
    ops: Sequence[HalfOp],
    measured: Measured,
    bound: float | None,
) -> str:
    """The answer in a sentence or two."""
    if cost is None:
        why = measured.problems[0] if measured.problems else "no image could be used"
        return f"What {precision} costs could not be told: {why}"
    return f"{precision} {verdict} the {effect(cost, measured)}. {where(ops, bound, cost)}"


def effect(cost: Cost, measured: Measured) -> str:
    """What is kept or lost, with the figures."""
    lost = sum(each.lost for each in measured.tally.outputs.values())
    words = []
    if cost.mask_changed is not None:
        pixels = max((each.changed, each.pixels) for each in measured.tally.outputs.values() if each.pixels)
        words.append(f"mask: {pixels[0]} of {pixels[1]} pixels change ({cost.mask_changed:.3%})")
    if cost.miou_points is not None:
        side = "lost" if cost.miou_points >= 0 else "gained"
        words.append(f"{abs(cost.miou_points):.2f} points of mIoU {side}")
    words.append(f"{lost} numbers are no longer finite" if lost else f"rel_l2 {cost.rel_l2:.2g}")
    if cost.mask_changed is None:
        words[0] = f"output: {words[0]}"
    return ", ".join(words)


def where(ops: Sequence[HalfOp], bound: float | None, cost: Cost) -> str:
    """The few ops that carry the loss, or that there are none."""
    if cost.rel_l2 == 0 and not math.isinf(cost.max_abs):
        return "Nothing changes."
    few = heavy(ops)
    if few:
        first = f"{called(few[0])} carries {few[0].share:.0%} of the loss"
        together = sum(op.share or 0.0 for op in few)
        more = "" if len(few) == 1 else f", {len(few)} ops together {together:.0%}"
        return f"{first}{more}."
    many = sum(1 for op in ops if op.share is None or op.share > 0)
    if bound is None:
        largest = max((op.share or 0.0 for op in ops), default=0.0)
        return (
            f"It is spread over {many} ops, none has more than {largest:.0%}: there is no single one to keep."
        )
    return f"It is spread over {many} ops, as far as was looked none has more than {bound:.0%} of it."


def called(op: HalfOp) -> str:
    """What an op is called in a sentence: its node, or the input that it stands for."""
    return op.nodes[0] if op.nodes else f"the input {op.value}"

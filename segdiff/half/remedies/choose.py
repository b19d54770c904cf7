"""What helps? Rewrites of the few operators that carry the loss, then the fewest to keep in float32.

Every remedy is put to the same simulation, and only told where it helps. Where no operator has a large share
of the loss nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Graph, Op
from segdiff.core.half import Cost, HalfOp, HalfRemedy, Static
from segdiff.half.answer import heavy
from segdiff.half.conclude import ALLOWED_ERROR
from segdiff.half.remedies.constants import epsilon_rewrite, mask_rewrite
from segdiff.half.remedies.files import kept_files, rewritten_file
from segdiff.half.remedies.fold import norm_rewrites
from segdiff.half.remedies.rewriting import Rewrite, disjoint
from segdiff.half.remedies.scale import ROOM, moved_scale
from segdiff.half.remedies.trial import Trials
from segdiff.half.remedies.written import write_rewritten
from segdiff.half.static import called
from segdiff.readers import find, read

DECISIVE = frozenset(
    {"precision.variance", "precision.alpha", "precision.overflow", "precision.mask", "precision.epsilon"}
)
"""What is known without a run, and has an exact rewrite: it costs nothing to write these better."""

HELPS = 0.5
"""A remedy leaves at most this part of the error, or it is none."""

MOST = 16
"""Operators to keep, at most: a list beyond that is no answer."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Question:
    """What was measured: the ops with their shares, what half precision costs, how far every value reaches.

    ``allowed`` is the share of mask pixels that may change; ``folder`` is where files go, None for none.
    """

    trials: Trials
    ops: tuple[HalfOp, ...]
    static: tuple[Static, ...]
    cost: Cost
    reach: Mapping[str, float]
    allowed: float
    folder: Path | None = None


@dataclass(frozen=True)
class Answer:
    """The remedies that help, the best kind first, and remarks on what was tried and does not."""

    remedies: tuple[HalfRemedy, ...] = ()
    remarks: tuple[str, ...] = ()


def remedies(question: Question, tell: Tell) -> Answer:
    """What helps a model that loses in half precision. Raises EngineError where the model does not run.

    Without an operator that has a large share of the loss, and with nothing known beforehand, it is empty.
    """
    few = heavy(question.ops)
    known = [each for each in question.static if each.reason in DECISIVE]
    if not few and not any(each.reason == "precision.alpha" for each in known):
        return Answer()
    tell("rewrite")
    rewrite, remarks = best_rewrite(question, tell)
    found: list[HalfRemedy] = []
    if rewrite is not None:
        found.append(told_rewrite(question, rewrite))
    tell("keep")
    if rewrite is None or within(rewrite.cost, question.allowed):
        kept, more = keep_list(question, question.trials.source, question.cost, frozenset(), tell)
    else:
        kept, more = keep_list(question, rewrite.draft, rewrite.cost, rewrite.gone, tell)
    return Answer((*found, *kept), (*remarks, *more))


def within(cost: Cost, allowed: float) -> bool:
    """Whether a cost is what the user allows, as the verdict has it."""
    if not math.isfinite(cost.max_abs):
        return False
    if cost.miou_points is not None and cost.miou_points > 100 * allowed:
        return False
    return cost.mask_changed <= allowed if cost.mask_changed is not None else cost.rel_l2 <= ALLOWED_ERROR


def helps(before: Cost, after: Cost, allowed: float) -> bool:
    """Whether a remedy is one: it brings the cost within what is allowed, or leaves half of the error."""
    if not math.isfinite(after.max_abs):
        return False
    if within(after, allowed) and not within(before, allowed):
        return True
    worse = (after.mask_changed or 0.0) > (before.mask_changed or 0.0)
    return not worse and after.rel_l2 <= HELPS * before.rel_l2


def size_of(cost: Cost) -> tuple[float, float, float]:
    """By what costs are ordered: what is lost for good, the mask, the error."""
    return (math.inf if math.isinf(cost.max_abs) else 0.0, cost.mask_changed or 0.0, cost.rel_l2)


# --- rewrites


@dataclass(frozen=True)
class Rewritten:
    """Rewrites that help, the file with them, what it costs, and the names of the ops that they change."""

    rewrites: tuple[Rewrite, ...]
    draft: Path
    cost: Cost

    @property
    def gone(self) -> frozenset[str]:
        """Nodes whose shares are no longer what they were."""
        return frozenset(name for rewrite in self.rewrites for name in rewrite.nodes)


def best_rewrite(question: Question, tell: Tell) -> tuple[Rewritten | None, tuple[str, ...]]:
    """The best of a few sets of rewrites: each op's first, each op's second, without those that must be run
    to know whether they are exact."""
    graph, trials = question.trials.graph, question.trials
    every = [list(offered(graph, op, question.reach)) for op in asked_about(question)]
    offers = [each for each in every if each]
    remarks: list[str] = []
    best: Rewritten | None = None
    tried: set[tuple[str, ...]] = set()
    for rewrites in sets_of(offers):
        key = tuple(each.text for each in rewrites)
        if not rewrites or key in tried:
            continue
        tried.add(key)
        tell("rewrite")
        found, remark = attempt(trials, rewrites)
        remarks += [remark] if remark else []
        if found is None or not helps(question.cost, found.cost, question.allowed):
            continue
        if best is None or size_of(found.cost) < size_of(best.cost):
            best = found
        if within(found.cost, question.allowed):
            break
    return best, tuple(dict.fromkeys(remarks))


def sets_of(offers: Sequence[Sequence[Rewrite]]) -> Iterator[list[Rewrite]]:
    """Sets of rewrites worth a trial, the likeliest first."""
    for rank in range(max(map(len, offers), default=0)):
        chosen = [offer[min(rank, len(offer) - 1)] for offer in offers]
        yield disjoint(chosen)
        yield disjoint(each for each in chosen if each.always)


def attempt(trials: Trials, rewrites: Sequence[Rewrite]) -> tuple[Rewritten | None, str]:
    """A file with these rewrites, if it gives the same in float32; else a remark."""
    draft = trials.draft()
    what = rewrites[0].text if len(rewrites) == 1 else f"{len(rewrites)} rewrites"
    try:
        write_rewritten(trials.source, draft, rewrites)
        if not trials.is_same(draft):
            return None, f"Not offered, for the outputs are not the same in float32: {what}"
        return Rewritten(tuple(rewrites), draft, trials.cost(draft)), ""
    except SegdiffError as error:
        return None, f"Not offered, for it could not be tried: {what} ({error})"


def asked_about(question: Question) -> list[Op]:
    """The ops to look for rewrites of: those of the heavy groups, and those known to be written badly."""
    names = {name for op in heavy(question.ops) for name in (*op.nodes, op.value)}
    names |= {name for each in question.static if each.reason in DECISIVE for name in each.nodes}
    large = {name for name, reach in question.reach.items() if reach > ROOM * 4}
    graph = question.trials.graph
    return [op for op in graph.ops if called(op) in names or not large.isdisjoint(op.outputs)]


def offered(graph: Graph, op: Op, reach: Mapping[str, float]) -> Iterator[Rewrite]:
    """The rewrites of one op, the better first."""
    yield from norm_rewrites(graph, op)
    for name in op.outputs:
        if reach.get(name, 0.0) > ROOM * 4:
            moved = moved_scale(graph, name, reach[name])
            yield from [moved] if moved else []
    for made in (mask_rewrite(graph, op), epsilon_rewrite(graph, op)):
        yield from [made] if made else []


def told_rewrite(question: Question, found: Rewritten) -> HalfRemedy:
    """The rewrites as a remedy, the file written where one is wanted."""
    files = {}
    if question.folder is not None:
        files = {"onnx": rewritten_file(question.trials.source, question.folder, found.rewrites)}
    texts = [each.text for each in found.rewrites]
    shown = texts if len(texts) <= 3 else [*texts[:2], f"so {len(texts) - 2} more ops"]
    always = all(each.always for each in found.rewrites)
    exact = "exact" if always else "exact on these images"
    nodes = tuple(dict.fromkeys(name for each in found.rewrites for name in each.nodes))
    return HalfRemedy("rewrite", nodes, f"Rewrite ({exact}): {'; '.join(shown)}", found.cost, files)


# --- what to keep in float32


def keep_list(
    question: Question, program: Path, before: Cost, gone: Iterable[str], tell: Tell
) -> tuple[tuple[HalfRemedy, ...], tuple[str, ...]]:
    """The fewest ops to keep in float32 that bring a file within what is allowed, or nearest to it.

    Those of the largest shares are taken first; of ``gone`` the shares are no longer known.
    """
    few = heavy(question.ops)
    changed = frozenset(gone)
    there = names_in(program)
    ranked = [op for op in question.ops if op.share and changed.isdisjoint(op.nodes) and there >= {*op.nodes}]
    can = [op for op in ranked if op.can_keep and op.nodes]
    cannot = [op for op in few if not op.can_keep]
    remarks = told_cannot(question, cannot)
    if not can or not any(op in few for op in can):
        return (), remarks
    best: tuple[tuple[HalfOp, ...], Cost] | None = None
    low, high = 0, len([op for op in can if op in few])
    while high <= min(MOST, len(can)):
        tell("keep")
        cost = question.trials.cost(program, names_of(can[:high]))
        if best is None or size_of(cost) < size_of(best[1]):
            best = (tuple(can[:high]), cost)
        if within(cost, question.allowed) or high == min(MOST, len(can)):
            break
        low, high = high, min(2 * high, MOST, len(can))
    while best is not None and within(best[1], question.allowed) and len(best[0]) - low > 1:
        tell("keep")
        middle = (low + len(best[0])) // 2
        cost = question.trials.cost(program, names_of(can[:middle]))
        if within(cost, question.allowed):
            best = (tuple(can[:middle]), cost)
        else:
            low = middle
    if best is None or not helps(before, best[1], question.allowed):
        return (), remarks
    return (told_keep(question, program, *best),), remarks


def names_in(program: Path) -> frozenset[str]:
    """What the nodes of a file are called."""
    return frozenset(called(op) for op in read(find(program)).ops)


def names_of(ops: Iterable[HalfOp]) -> frozenset[str]:
    """The nodes of some groups."""
    return frozenset(name for op in ops for name in op.nodes)


def told_keep(question: Question, program: Path, ops: tuple[HalfOp, ...], cost: Cost) -> HalfRemedy:
    """A list of ops to keep as a remedy, its files written where they are wanted."""
    nodes = tuple(name for op in ops for name in op.nodes)
    of = "" if program == question.trials.source else " of fixed.onnx"
    share = sum(op.share or 0.0 for op in ops)
    what = f"{nodes[0]}" if len(ops) == 1 else f"{len(ops)} ops{of}, {nodes[0]} first,"
    text = f"Keep {what} in float32 ({share:.0%} of the loss)"
    files: Mapping[str, Path] = {}
    if question.folder is not None:
        trials = question.trials
        source = trials.source if program == trials.source else question.folder / "fixed.onnx"
        files = kept_files(source, question.folder, frozenset(nodes), trials.how)
    return replace(HalfRemedy("keep_float32", nodes, text, cost, {}), files=files)


def told_cannot(question: Question, ops: Sequence[HalfOp]) -> tuple[str, ...]:
    """What the target cannot compute in float32, of what carries the loss."""
    if not ops:
        return ()
    how = question.trials.how
    types = {op.type for op in question.trials.graph.ops if called(op) in names_of(ops)} & how.cannot_keep
    share = sum(op.share or 0.0 for op in ops)
    many = ops[0].nodes[0] if len(ops) == 1 else f"{len(ops)} ops"
    words = f"{many} cannot be kept in float32 on {how.target} ({', '.join(sorted(types))})"
    return (f"{words}, with {share:.0%} of the loss.",)

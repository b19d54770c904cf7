"""What would a device's outputs be, were one of its operators right? The rest of the file is run here, from
the device's own tensors on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from segdiff.align import Segment
from segdiff.core.answer import Effect
from segdiff.core.errors import EngineError
from segdiff.core.graph import Graph
from segdiff.engines import Tensor
from segdiff.finding.weigh import MOST, damage_of
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.upstream import upstream


def effects_of(device: Run, network: Run, reasons: list[str]) -> dict[Segment, Effect]:
    """What each origin of a device's run costs, by its segment: the share of the outputs' error (against the
    reference) that goes away where the file's nodes take the operator's place, on the device's own inputs.

    In both cases what stands behind the operator runs here, so no arithmetic of the device is in between. Of
    the first ``MOST`` origins; one whose run fails has none. Raises nothing that an engine does: why
    something is not known is added to ``reasons``.
    """
    found: dict[Segment, Effect] = {}
    origins = device.origins[:MOST]
    if not origins or not network.outputs:
        return found
    try:
        truth = dict(network.reference([r for r, _ in network.outputs]))
    except EngineError as error:
        reasons.append(f"What the device's errors cost in the end is not known: {error}")
        return found
    for step in origins:
        try:
            effect = _effect(device, network, step, truth)
        except EngineError as error:
            name = step.segment.outputs[0][1]
            reasons.append(f"What the device's error at {name!r} costs in the end is not known: {error}")
            continue
        if effect is not None:
            found[step.segment] = effect
    return found


def _effect(device: Run, network: Run, step: Step, truth: Mapping[str, Tensor]) -> Effect | None:
    """The effect of one origin; None where no output of the model depends on it, or is of another form."""
    ends = [c for _, c in step.segment.outputs]
    theirs = dict(device.reference(ends_of(step)))
    ours = device.probe.bench(step.segment, theirs).run(ends)
    outputs = [(r, c) for r, c in network.outputs if r in truth]
    behind = downstream(device.probe.graph, ends)
    finals = [c for _, c in outputs if c in behind]
    if not finals or any(ours[c].array.shape != theirs[c].array.shape for c in ends):
        return None
    wrong, right = (_finals(device, behind, finals, each) for each in ({c: theirs[c] for c in ends}, ours))
    pairs = [(truth[r].array, wrong[c].array, right[c].array) for r, c in outputs if c in behind]
    before, after = (damage_of((each[0], each[place]) for each in pairs) for place in (1, 2))
    return before.effect(after)


def _finals(
    device: Run, behind: frozenset[str], finals: list[str], ends: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The outputs that are made of ``ends``, all beside them as the device has it. Raises EngineError."""
    probe, graph = device.probe, device.probe.graph
    beside = {c for c in device.alignment.pairs if c not in behind and c not in device.hidden}
    stops = frozenset({*beside, *ends})
    ops = upstream(graph, finals, stops)
    read = {name for index in ops for name in graph.op(index).inputs}
    feeds = {**dict(device.reference(sorted(read & beside - ends.keys()))), **ends}
    fitting = {c: probe.fitting(c, tensor) for c, tensor in feeds.items() if c in read}
    own = {c: tensor for c, tensor in probe.feeds.items() if c in read and c not in fitting}
    rest = [c for c in finals if c not in ends]
    got = probe.candidate.run({**own, **fitting}, rest, ops) if rest else {}
    return {**got, **{c: probe.fitting(c, ends[c]) for c in finals if c in ends}}


def downstream(graph: Graph, values: Iterable[str]) -> frozenset[str]:
    """Values and all that is made of them."""
    found: set[str] = set()
    queue = list(values)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [each for op in graph.consumers.get(name, ()) for each in op.outputs if each]
    return frozenset(found)

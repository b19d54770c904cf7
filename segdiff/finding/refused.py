"""Does the runtime take the file, on this very input? If not: which node, why, and what would make it run.

The walk cuts segments out and forgets what a file claims, so it may agree where the file itself does not
load. The runtime's own words name a node in most cases; otherwise the first that does not run alone counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import networkx as nx

from segdiff.core.answer import Cause, Origin, PairInfo, Reason
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.graph import Graph, Op
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.engines import Deployed
from segdiff.finding.outputs import op_info
from segdiff.finding.remedies import Attempt, Form, in_trouble, remedies, said_of
from segdiff.finding.runtime_words import named, named_in, plain_words
from segdiff.finding.unwritten import Unwritten, unwritten
from segdiff.walk import Run
from segdiff.walk.upstream import upstream

NEAR = 12
"""Nodes before the refused one that are looked at for the reason."""

REMEDY_SECONDS = 20.0
"""For all changes that are tried; each loads the file once."""


def refusal(run: Run, error: str | None, *, asked: bool, others: bool) -> Origin | None:
    """Why the candidate does not run as its user runs it; None where it does.

    ``error`` is what it said where it was ``asked`` to run as deployed; ``others`` whether anything else was
    found. Never raises.
    """
    if run.walk.problem:
        return None
    if not asked:
        ran = run.whole is not None and run.whole.written is not None
        error = None if ran else said_by(run, Deployed("none"))
    if error is None:
        return None
    file = run.probe.graph.path.name
    wrong_inputs = list(unaccepted(run))
    if wrong_inputs:
        text = f"{file} does not accept {wrong_inputs[0]}."
        return made(run, None, text if others else f"The network agrees, but {text}", None)
    with suppress(EngineError):
        lost = unwritten(run)
        if lost is not None:
            return left_out(run, lost)
    words = plain_words(error)
    node = named_in(run.probe.graph, error) or first_that_fails(run, named(error).type)
    if node is None:
        return made(run, None, f"{runtime(run)} does not load {file}: {words}.", None)
    forms = forms_before(run, node)
    remedy = remedied(run, node, forms)
    said = refused_in_words(run.probe.graph, node, error, forms)
    text = f"{runtime(run)} does not run {file}: {said}."
    if isinstance(remedy, Remedy):
        text += f" With {remedy.words} it runs{remedy.result}."
    elif remedy is not None:
        text += f" With {remedy.words} it goes on, and the next one is refused: {remedy.following}."
    return made(run, node, text, remedy if isinstance(remedy, Remedy) else None)


def refused_in_words(graph: Graph, node: Op, error: str, forms: dict[str, Form]) -> str:
    """Which node is refused, what is wrong with it, and the runtime's own words."""
    said, words = named(error), plain_words(error)
    constant = [name for name in said.outputs if name in graph.parameters]
    if constant:
        name = said.name or constant[0]
        return (
            f"{said.type} {name!r}, which makes a constant of {node.type} {node.name!r}, is refused ({words})"
        )
    return f"{node.type} {node.name!r} {said_of(graph, node, forms) or 'is refused'} ({words})"


def left_out(run: Run, lost: Unwritten) -> Origin:
    """The finding for an output that nothing writes."""
    text = f"{runtime(run)} does not load {run.probe.graph.path.name}: {lost.text}."
    if lost.ends is None:
        return made(run, lost.node, text, None)
    text += " With the reference's own operators for it the file runs, and the output is right."
    found = made(run, lost.node, text, Remedy("", (), "", lost.error))
    assert found.cause is not None
    return replace(found, cause=replace(found.cause, ends=lost.ends))


def said_by(run: Run, how: Deployed) -> str | None:
    """What the runtime says where it does not take the file."""
    try:
        run.probe.candidate.living().run_deployed(run.probe.feeds, run.probe.graph.outputs, how)
    except EngineError as error:
        return str(error) if run.probe.candidate.engine.is_alive else None
    return None


def runtime(run: Run) -> str:
    """The runtime's name."""
    return run.probe.candidate.engine.name


def unaccepted(run: Run) -> Iterator[str]:
    """The inputs whose shape or type the file does not allow, in words."""
    graph = run.probe.graph
    for name, tensor in run.probe.feeds.items():
        value, shape = graph.value(name), tensor.array.shape
        if value.shape is None:
            continue
        allowed = zip(value.shape, shape, strict=False)
        if len(value.shape) != len(shape) or any(a is not None and a != b for a, b in allowed):
            wanted = ", ".join("?" if length is None else str(length) for length in value.shape)
            yield f"{tuple(shape)} for {name!r}: it wants ({wanted})"
        elif value.dtype and value.dtype != tensor.array.dtype.name:
            yield f"{tensor.array.dtype} for {name!r}: it wants {value.dtype}"


def first_that_fails(run: Run, kind: str) -> Op | None:
    """The first node of a segment that failed which does not run from the image: of the ``kind`` that the
    runtime speaks of, if there is one; none where none runs."""
    graph = run.probe.graph
    for op in graph.ops if kind else ():
        if op.type.rpartition(".")[2] == kind and op.outputs and not runs(run, op.outputs[:1]):
            return op
    if all(step.problem for step in run.walk.steps):
        return None
    for step in run.walk.steps:
        for index in step.segment.nodes if step.problem else ():
            op = graph.op(index)
            if op.outputs and not runs(run, op.outputs[:1]):
                return op
    return None


def runs(run: Run, wanted: Iterable[str]) -> bool:
    """Whether the candidate makes these values from the image."""
    names = tuple(wanted)
    ops = upstream(run.probe.graph, names, frozenset())
    read = {name for index in ops for name in run.probe.graph.op(index).inputs}
    try:
        feeds = {name: tensor for name, tensor in run.probe.feeds.items() if name in read}
        run.probe.candidate.run(feeds, names, ops)
    except EngineError:
        return False
    return True


def forms_before(run: Run, node: Op) -> dict[str, Form]:
    """Shapes and dtypes of what goes into a node, and into those near before it, as far as they run."""
    graph = run.probe.graph
    near = [op for op in graph.ops if op is node or op.index in ancestors(graph, node)][-NEAR:]
    names = dict.fromkeys(name for op in near for name in op.inputs)
    return {name: form for name in names if (form := form_of(run, name)) is not None}


def ancestors(graph: Graph, node: Op) -> set[int]:
    """Indices of the ops that go into a node."""
    return {item for item in nx.ancestors(graph.flow, node.index) if isinstance(item, int)}


def form_of(run: Run, name: str, edits: tuple[Edit, ...] = ()) -> Form | None:
    """dtype and shape of one of the candidate's values, run from the image; of a constant its own."""
    if name in run.probe.graph.parameters:
        return run.probe.graph.parameters[name].dtype, run.probe.graph.parameters[name].shape
    if name in run.probe.feeds:
        return run.probe.feeds[name].array.dtype.name, run.probe.feeds[name].array.shape
    if name in run.probe.forms:
        dtype, shape = run.probe.forms[name]
        return dtype.name, shape
    ops = upstream(run.probe.graph, [name], frozenset())
    read = {each for index in ops for each in run.probe.graph.op(index).inputs}
    feeds = {each: tensor for each, tensor in run.probe.feeds.items() if each in read}
    made = {each for index in ops for each in run.probe.graph.op(index).outputs}
    own = tuple(edit for edit in edits if edit.place in made)
    try:
        array = run.probe.candidate.run(feeds, [name], ops, own)[name].array
    except EngineError:
        return None
    return array.dtype.name, array.shape


@dataclass(frozen=True)
class Remedy:
    """A change that makes the file run: its words, its edits, and what the outputs are then."""

    words: str
    edits: tuple[Edit, ...]
    result: str
    error: Comparison | None


@dataclass(frozen=True)
class Stuck:
    """A change with which the node is taken, and the node ``following``, in words, is not."""

    words: str
    following: str


def remedied(run: Run, node: Op, forms: dict[str, Form]) -> Remedy | Stuck | None:
    """The first change that makes the file run; of several, one whose outputs are the reference's. Else the
    first with which another node is refused."""
    graph = run.probe.graph
    near = [op for op in graph.ops if op is node or op.index in ancestors(graph, node)][-NEAR:]
    found: Remedy | None = None
    stuck: Stuck | None = None
    until = time.monotonic() + run.walk.patience(REMEDY_SECONDS)
    for words, edits in remedies(graph, near, forms):
        remedy = tried_with_likes(run, node, words, edits, until)
        if not isinstance(remedy, Remedy):
            stuck = stuck or remedy
            continue
        if remedy.error is not None and not remedy.error.mismatch and remedy.error.metrics.rel_l2 < 1e-3:
            return remedy
        found = found or remedy
        if time.monotonic() > until:
            break
    return found or stuck


def tried_with_likes(
    run: Run, node: Op, words: str, edits: tuple[Edit, ...], until: float
) -> Remedy | Stuck | None:
    """What the whole file does with a change. Where then another node is refused, that one is changed, too,
    in the same way if it can be, and so on; None where the file still does not run."""
    graph, changed, ways = run.probe.graph, {node.index}, [words]
    while True:
        error = tried(run, edits)
        if not isinstance(error, str):
            return Remedy(said_together(ways), edits, *error)
        following = named_in(graph, error)
        if following is None or following.index in changed or time.monotonic() > until:
            return None
        forms = {name: form for name in following.inputs if (form := form_of(run, name, edits))}
        stuck = Stuck(said_together(ways), refused_in_words(graph, following, error, forms))
        more = {following.index: fitting(graph, following, ways[-1], forms)}
        for op in graph.ops:
            if op.index not in changed | set(more) and in_trouble(graph, op, declared(graph, op)):
                more[op.index] = fitting(graph, op, ways[-1], declared(graph, op))
        if more[following.index] is None:
            return stuck
        found = {index: attempt for index, attempt in more.items() if attempt is not None}
        ways += [said for said, _ in found.values()]
        edits = (*edits, *(edit for _, more_edits in found.values() for edit in more_edits))
        changed |= set(found)


def said_together(ways: list[str]) -> str:
    """Changes in words, equal ones once."""
    counts = Counter(ways)
    return " and ".join(
        f"{words.rstrip(',')}, in each of {count} such nodes," if count > 1 else words
        for words, count in counts.items()
    )


def declared(graph: Graph, op: Op) -> dict[str, Form]:
    """What the file says of an op's inputs, as far as their shapes are known."""
    values = {name: graph.parameters.get(name) or graph.value(name) for name in op.inputs}
    return {
        name: (value.dtype, tuple(-1 if length is None else length for length in value.shape))
        for name, value in values.items()
        if value.dtype and value.shape is not None
    }


def fitting(graph: Graph, op: Op, words: str, forms: dict[str, Form]) -> Attempt | None:
    """The change of these words for another op, else the first that there is; None where there is none."""
    found = list(remedies(graph, [op], forms))
    return next((each for each in found if each[0] == words), found[0] if found else None)


Outcome = tuple[str, Comparison | None]
"""What to say of the outputs, and the worst of their errors."""


def tried(run: Run, edits: tuple[Edit, ...]) -> Outcome | str:
    """What the whole file does with edits; the runtime's words where it still does not run."""
    probe = run.probe
    wanted = [c for _, c in run.outputs]
    try:
        got = probe.candidate.run(probe.feeds, wanted, upstream(probe.graph, wanted, frozenset()), edits)
        truth = dict(run.reference([r for r, _ in run.outputs]))
    except EngineError as error:
        return str(error)
    errors = [compare_arrays(truth[r].array, got[c].array) for r, c in run.outputs if r in truth]
    if not errors:
        return "", None
    worst = max(errors, key=lambda each: (each.mismatch is not None, each.metrics.rel_l2))
    if worst.mismatch:
        return f", though its outputs are others ({worst.mismatch})", worst
    return f", and its outputs err by rel_l2 {worst.metrics.rel_l2:.2g}", worst


def made(run: Run, node: Op | None, text: str, remedy: Remedy | None) -> Origin:
    """The finding in the form of every other one."""
    step = next((s for s in run.walk.steps if node is not None and node.index in s.segment.nodes), None)
    ours = step.segment.reference_ops if step else ()
    ends = step.segment.outputs[0] if step else ("", "")
    makers = run.alignment.reference.producer.get(ends[0])
    pair = PairInfo(
        reference=ends[0],
        candidate=node.outputs[0] if node and node.outputs else ends[1],
        reference_op=makers.type if makers else "",
        candidate_op=node.type if node else "",
        shape=(),
        evidence=(),
        state="origin",
        cumulative=None,
        isolated=None,
        why=Reason("refused"),
    )
    error = remedy.error.metrics if remedy and remedy.error else None
    edits = remedy.edits if remedy else ()
    cause = Cause("runtime.refused", text, remedy is not None, error, None, edits)
    graph = run.probe.reference
    return Origin(
        pair,
        tuple(op_info(graph.op(index)) for index in ours),
        (op_info(node),) if node else (),
        step.segment.inputs if step else (),
        confirmed=True,
        cause=cause,
    )

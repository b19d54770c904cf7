"""How are parts of an ONNX model run? Sessions of graphs that onnx-graphsurgeon cuts out.

Lives in a worker process. Graph optimisation is off: a fused operator would have no value to expose.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime as ort

from segdiff.core.edit import Edit, apply
from segdiff.core.graph import Array
from segdiff.core.sequences import lists_in
from segdiff.engines.apart import apart, declared_input
from segdiff.engines.cutting import Cutter, declared, fetch_unmapped
from segdiff.engines.framework import Deliver, Nodes
from segdiff.engines.merging import mergeable, merged
from segdiff.engines.protocol import of_part
from segdiff.engines.whole import given_to, ran

EXPOSED_AT_ONCE = 8
EXPOSED_BYTES = 32 << 20
"""Values exposed by one cut of a whole run, and about how many bytes of them: onnxruntime holds every output
until its run ends."""

BESIDE = "session.model_external_initializers_file_folder_path"
"""Where a session looks for weights that are not in its message: it maps them, and copies nothing."""

KEPT_SESSIONS = 4
"""Sessions kept for a second run: a segment runs on the candidate's tensors, then on the reference's."""


class Parts:
    """An ONNX model from which any set of nodes can be run, on so many ``threads``; ``beside`` another engine
    that computes, where these are not as many. Raises ModelError where the file cannot be read."""

    def __init__(self, program: Path, threads: int, beside: int) -> None:
        self.program = program
        self.cutter = Cutter(program)
        self.threads, self.beside = threads, beside
        self.sessions: OrderedDict[tuple[object, ...], ort.InferenceSession] = OrderedDict()

    def run(
        self,
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None,
        edits: tuple[Edit, ...],
        deliver: Deliver,
    ) -> None:
        """Run the nodes ``ops`` (or all of them, cut after cut) and deliver ``wanted``.

        ``edits`` go with ``ops``: they change those nodes for this one run.
        """
        if ops is not None:
            given_to(self._run_nodes(ops, feeds, wanted, edits), deliver)
        else:
            self._run_all(feeds, frozenset(wanted), deliver)

    def run_together(self, parts: Sequence[Nodes], deliver: Deliver) -> None:
        """Run the nodes of each part on its feeds, in one session as far as they go into one.

        Nobody asks for that session again as long as the segments are right: it is not kept.
        """
        cuts: dict[int, onnx.ModelProto] = {}
        for number, part in enumerate(parts):
            session = self._known(part)
            if session is None:
                cut = self.cutter.cut(part.ops, part.feeds, part.wanted)
                if len(parts) > 1 and mergeable(cut):
                    cuts[number] = cut
                    continue
                session = self._start(cut, self.beside)
            got = ran(session, part.feeds, part.wanted)
            given_to({of_part(number, name): value for name, value in got.items()}, deliver)
        if cuts:
            feeds = {of_part(k, name): array for k in cuts for name, array in parts[k].feeds.items()}
            wanted = tuple(of_part(k, name) for k in cuts for name in parts[k].wanted)
            given_to(ran(self._start(merged(cuts), self.beside), feeds, wanted), deliver)

    def _run_all(self, feeds: dict[str, Array], wanted: frozenset[str], deliver: Deliver) -> None:
        live = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in feeds.items()}
        given_to({name: value for name, value in live.items() if name in wanted}, deliver)
        room = Room()
        for cut in cuts(self.cutter, wanted, room):
            live.update(self._run_cut(cut, live, wanted, deliver, room))
            for name in cut.last_reads:
                live.pop(name, None)

    def _run_cut(
        self,
        cut: Cut,
        live: dict[str, ort.OrtValue],
        wanted: frozenset[str],
        deliver: Deliver,
        room: Room,
    ) -> dict[str, ort.OrtValue]:
        """Run one cut, deliver what is wanted of it and return what a later cut reads."""
        given = {name: live[name].numpy() for name in cut.reads}  # views: ``live`` owns the memory
        outputs = self._run_nodes(cut.ops, given, cut.gives)
        self.sessions.clear()
        room.learn(outputs.values())
        given_to({name: value for name, value in outputs.items() if name in wanted}, deliver)
        return {name: value for name, value in outputs.items() if name not in cut.last_reads}

    def _run_nodes(
        self,
        ops: tuple[int, ...],
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        edits: tuple[Edit, ...] = (),
    ) -> dict[str, ort.OrtValue]:
        if edits:
            model = self.cutter.cut(ops, feeds, wanted)
            edits, arrays = apart(edits)
            if arrays:
                self.sessions.clear()  # each holds the old weight
                feeds = feeds | arrays
            apply(model, edits)
            model.graph.input.extend(map(declared_input, arrays, arrays.values()))
            session = self._start(model)
        else:
            session = self._session(ops, feeds, wanted)
        return ran(session, feeds, wanted)

    def _session(
        self, ops: tuple[int, ...], feeds: dict[str, Array], wanted: tuple[str, ...]
    ) -> ort.InferenceSession:
        part = Nodes(ops, feeds, wanted)
        if (known := self._known(part)) is not None:
            return known
        session = self._start(self.cutter.cut(ops, feeds, wanted))
        self.sessions[key_of(part)] = session
        while len(self.sessions) > KEPT_SESSIONS:
            self.sessions.popitem(last=False)
        return session

    def _known(self, part: Nodes) -> ort.InferenceSession | None:
        """The session that was kept of these nodes."""
        key = key_of(part)
        if key in self.sessions:
            self.sessions.move_to_end(key)
        return self.sessions.get(key)

    def _start(self, model: onnx.ModelProto, threads: int | None = None) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False  # an arena per segment would only be filled once
        options.enable_mem_pattern = False
        options.intra_op_num_threads = threads or self.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.inter_op_num_threads = 1
        fetch_unmapped(model, self.program)
        options.add_session_config_entry(BESIDE, str(self.program.resolve().parent))
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def key_of(part: Nodes) -> tuple[object, ...]:
    """What a session of these nodes depends on."""
    kinds = tuple((name, array.dtype.str, *declared(array)) for name, array in part.feeds.items())
    return part.ops, part.wanted, kinds


@dataclass(frozen=True)
class Cut:
    """Consecutive nodes of a whole run: what they read and give, and what nobody reads after them."""

    ops: tuple[int, ...]
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    last_reads: tuple[str, ...]


@dataclass
class Room:
    """How many values the next cut may expose: as many as fit if all are like the last cut's largest."""

    values: int = 1

    def learn(self, outputs: Iterable[ort.OrtValue]) -> None:
        """Look at the outputs of a cut."""
        largest = max((value.numpy().nbytes for value in outputs if value.is_tensor()), default=0)
        self.values = max(1, min(EXPOSED_AT_ONCE, EXPOSED_BYTES // max(1, largest)))


def cuts(cutter: Cutter, wanted: frozenset[str], room: Room) -> Iterator[Cut]:
    """Cut the nodes, in file order, so that a cut exposes no more wanted values than there is room for."""
    graph, reads = cutter.model.graph, cutter.reads
    last = {name: index for index, names in enumerate(reads) for name in names}
    finals = {output.name for output in graph.output}
    for ops in grouped(cutter, wanted, room):
        made = [name for index in ops for name in graph.node[index].output if name]
        own = set(made)
        outside = dict.fromkeys(name for index in ops for name in reads[index] if name not in own)
        gives = [name for name in made if name in wanted or name in finals or last.get(name, -1) > ops[-1]]
        used = [*outside, *made]
        yield Cut(
            ops, tuple(outside), tuple(gives), tuple(name for name in used if last.get(name, -1) <= ops[-1])
        )


def grouped(cutter: Cutter, wanted: frozenset[str], room: Room) -> Iterator[tuple[int, ...]]:
    """Node indices in file order, a new group whenever enough wanted values have gathered."""
    group: list[int] = []
    exposed = 0
    constants = set(cutter.constants.values())
    nodes = cutter.model.graph.node
    lists = lists_in(nodes)
    last = {name: index for index, names in enumerate(cutter.reads) for name in names if name in lists}
    open_until = -1  # a list of tensors cannot be handed from one cut to the next
    for index, node in enumerate(cutter.model.graph.node):
        if index in constants:
            continue  # each cut takes the constants it reads
        group.append(index)
        open_until = max([open_until, *(last.get(name, -1) for name in node.output)])
        exposed += sum(name in wanted for name in node.output)
        if exposed >= room.values and index >= open_until:
            yield tuple(group)
            group, exposed = [], 0
    if group:
        yield tuple(group)

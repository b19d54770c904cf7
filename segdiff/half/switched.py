"""How are many roundings tried in one session? A model whose every group is an If, switched by what is fed.

Each group stands there twice: as the file has it, and in half precision. Which of the two is computed is fed
with the picture, so no session is built again and no weight is loaded twice. Where it is watched, each group
also tells how far its values reach, and a sample of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from segdiff.core.captures import all_graphs, subgraphs
from segdiff.half.body import half_body
from segdiff.half.groups import Group, groups_of
from segdiff.half.read import File
from segdiff.half.rounding import Maker, rounding
from segdiff.half.simulate import PREFIX, drop_unread, width_of
from segdiff.half.store import OnDisk
from segdiff.half.targets import How

ROUNDED, WATCHED = f"{PREFIX}rounded", f"{PREFIX}watched"
"""Inputs: a flag for each group, (groups,) bool; and whether to look at the values, (1,) bool."""

EXTENTS, SAMPLES = f"{PREFIX}extents", f"{PREFIX}samples"
"""Outputs: (groups, 3) float32, the largest value of each, the smallest, and how many there are; and a
sample of the values of each, one after the other, each group's as long as it is."""

SAMPLE = 4096
"""Values of a group that are looked at: its noise is known to a percent or two by so many."""

EXTRA_OPSET = 11
"""From here on an If may give another shape in each branch, so that samples can be taken or left."""


def switched(
    model: onnx.ModelProto, path: Path, how: How, watched: Sequence[str], store: OnDisk
) -> tuple[onnx.ModelProto, tuple[Group, ...]]:
    """The model with a switch for each group, and the groups; ``watched`` are values to give out as well.

    Large tensors may lie in ``path``; all of them go to ``store``. Raises ModelError where one is damaged.
    """
    file = File(model, path)
    groups = groups_of(file, how)
    maker = Maker(PREFIX)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.value_info[:]
    made.graph.input.append(helper.make_tensor_value_info(ROUNDED, TensorProto.BOOL, [len(groups)]))
    made.graph.input.append(helper.make_tensor_value_info(WATCHED, TensorProto.BOOL, [1]))
    owners = {index: number for number, each in enumerate(groups) for index in each.nodes}
    fed = {each.value: maker.fresh("input") for each in groups if not each.nodes}
    watch = Watch(file, maker)
    made.graph.node.extend(watch.nodes)
    for number, each in enumerate(groups):
        if not each.nodes:
            made.graph.node.extend(_input_switch(how, each, number, fed[each.value], watch))
    for index, node in enumerate(file.nodes):
        if index not in owners:
            made.graph.node.append(_reading(node, fed))
        elif groups[owners[index]].nodes[-1] == index:
            number = owners[index]
            made.graph.node.extend(_switch(how, groups[number], number, fed, watch, store))
    made.graph.node.extend(watch.gathered())
    made.graph.output.append(helper.make_tensor_value_info(EXTENTS, TensorProto.FLOAT, None))
    if file.opset >= EXTRA_OPSET:
        made.graph.output.append(helper.make_tensor_value_info(SAMPLES, TensorProto.FLOAT, None))
    known = {item.name for item in made.graph.output}
    for name in watched:
        if name not in known:
            made.graph.output.append(helper.make_tensor_value_info(name, width_of(file, name), None))
    drop_unread(made.graph)
    for graph in all_graphs(made.graph):
        for tensor in graph.initializer:
            store.fetch(tensor, path)
    for node in made.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                store.fetch(attribute.t, path)
    return made, groups


def _reading(node: onnx.NodeProto, fed: dict[str, str]) -> onnx.NodeProto:
    """A node that reads the inputs as they were switched."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    for place, name in enumerate(made.input):
        made.input[place] = fed.get(name, name)
    return made


def _chosen(number: int, maker: Maker) -> tuple[list[onnx.NodeProto], str]:
    """Nodes that read the switch of a group, and the name of it."""
    place, flag = maker.fresh("place"), maker.fresh("flag")
    return [integers(place, number, []), helper.make_node("Gather", [ROUNDED, place], [flag], axis=0)], flag


Branch = tuple[list[onnx.NodeProto], list[TensorProto], list[str]]
"""Nodes, their constants, and what they give."""


@dataclass
class Watch:
    """Looks at what the groups give, inside their branches: a value that a later node looked at would have to
    be kept until then."""

    file: File
    maker: Maker
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    extents: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        zero, self.flag = self.maker.fresh("zero"), self.maker.fresh("watched")
        self.nothing = {kind: self.maker.fresh("nothing") for kind in self.kinds}
        self.nodes += [
            integers(zero, 0, []),
            helper.make_node("Gather", [WATCHED, zero], [self.flag], axis=0),
        ]
        for kind, name in self.nothing.items():
            numbers = [0.0] * 3 if kind == "extent" else []
            empty = helper.make_tensor(name, TensorProto.FLOAT, [len(numbers)], numbers)
            self.nodes.append(helper.make_node("Constant", [], [name], value=empty))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it tells of each value."""
        return ("extent", "sample") if self.file.opset >= EXTRA_OPSET else ("extent",)

    def outputs(self) -> list[str]:
        """Names under which the next group is told."""
        made = [self.maker.fresh(kind) for kind in self.kinds]
        self.extents.append(made[0])
        self.samples += made[1:]
        return made

    def blind(self) -> tuple[list[onnx.NodeProto], list[str]]:
        """Nodes that tell nothing."""
        names = [self.maker.fresh("empty") for _ in self.kinds]
        made = zip(self.nothing.values(), names, strict=True)
        return [helper.make_node("Identity", [nothing], [name]) for nothing, name in made], names

    def look(self, value: str) -> tuple[list[onnx.NodeProto], list[str]]:
        """Nodes that tell of a value, where it is watched."""
        blind, empty = self.blind()
        names = [self.maker.fresh(kind) for kind in self.kinds]
        seen = _seen(self.file, value, self.maker)
        yes: Branch = (seen[0], [], seen[2])
        return [_either(self.flag, yes, (blind, [], empty), names, {}, self.maker)], names

    def gathered(self) -> list[onnx.NodeProto]:
        """Nodes that put together what all groups tell."""
        found = [helper.make_node("Concat", self.extents, [EXTENTS], axis=0)]
        if self.samples:
            found.append(helper.make_node("Concat", self.samples, [SAMPLES], axis=0))
        return found


def integers(name: str, value: int, dims: list[int]) -> onnx.NodeProto:
    """A constant integer."""
    return helper.make_node(
        "Constant", [], [name], value=helper.make_tensor(name, TensorProto.INT64, dims, [value])
    )


def _input_switch(how: How, each: Group, number: int, into: str, watch: Watch) -> Iterable[onnx.NodeProto]:
    file, maker = watch.file, watch.maker
    nodes, flag = _chosen(number, maker)
    width = width_of(file, each.value)
    rounded, same = maker.fresh("stored"), maker.fresh("same")
    half = list(rounding(each.value, rounded, how, file.opset, maker, width=width))
    plain = [helper.make_node("Identity", [each.value], [same])]
    return [*nodes, _told(flag, (half, [], [rounded]), (plain, [], [same]), [into], width, watch)]


def _switch(
    how: How, each: Group, number: int, fed: dict[str, str], watch: Watch, store: OnDisk
) -> Iterable[onnx.NodeProto]:
    file, maker = watch.file, watch.maker
    nodes, flag = _chosen(number, maker)
    last = file.nodes[each.nodes[-1]]
    if len(each.outputs) < sum(map(bool, last.output)) or any(subgraphs(last)):
        return [*nodes, *_mixed(how, each, flag, fed, watch)]
    outputs = {name: maker.fresh("stored") for name in each.outputs}
    body = half_body(file, how, each, store, maker, outputs, narrow=True)
    half = [_reading(node, fed) for node in body.nodes]
    plain = [_reading(file.nodes[index], fed) for index in each.nodes]
    inner = {name: maker.fresh("plain") for node in plain for name in node.output if name}
    for node in plain:
        for place, name in enumerate(node.input):
            node.input[place] = inner.get(name, name)
        for place, name in enumerate(node.output):
            node.output[place] = inner.get(name, name)
    own = own_constants(file, each, maker)
    for node in plain:
        for place, name in enumerate(node.input):
            node.input[place] = own[name].name if name in own else name
    given = list(each.outputs)
    yes: Branch = (half, body.tensors, [outputs[name] for name in given])
    no: Branch = (plain, list(own.values()), [inner[name] for name in given])
    return [*nodes, _told(flag, yes, no, given, width_of(file, each.value), watch)]


def _mixed(how: How, each: Group, flag: str, fed: dict[str, str], watch: Watch) -> Iterable[onnx.NodeProto]:
    """A node that gives other things than floats as well, or has blocks: only its rounding is switched."""
    file, maker = watch.file, watch.maker
    exact = {name: maker.fresh("exact") for name in each.outputs}
    for index in each.nodes:
        node = _reading(file.nodes[index], fed)
        for place, name in enumerate(node.output):
            node.output[place] = exact.get(name, name)
        yield node
    for name, source in exact.items():
        width = width_of(file, name)
        rounded, same = maker.fresh("stored"), maker.fresh("same")
        half = list(rounding(source, rounded, how, file.opset, maker, width=width, op=each.types[-1]))
        plain = [helper.make_node("Identity", [source], [same])]
        yes: Branch = (half, [], [rounded])
        no: Branch = (plain, [], [same])
        if name == each.value:
            yield _told(flag, yes, no, [name], width, watch)
        else:
            yield _either(flag, yes, no, [name], {rounded: width, same: width}, maker)


def own_constants(file: File, each: Group, maker: Maker) -> dict[str, TensorProto]:
    """The constants that only this group reads, for its branch: onnxruntime lays out no others."""
    found = {}
    for index in each.nodes:
        for name in file.nodes[index].input:
            if name in file.tensors and set(file.readers[name]) <= set(each.nodes):
                found[name] = onnx.TensorProto()
                found[name].CopyFrom(file.tensors[name])
                found[name].name = maker.fresh("own")
    return found


def _told(
    flag: str, yes: Branch, no: Branch, outputs: Sequence[str], width: int, watch: Watch
) -> onnx.NodeProto:
    """An If of a group in half precision and as it is; the second branch also tells what it gives."""
    look, names = watch.look(no[2][0])
    blind, empty = watch.blind()
    widths = dict.fromkeys((*yes[2], *no[2]), width)
    return _either(
        flag,
        ([*yes[0], *blind], yes[1], [*yes[2], *empty]),
        ([*no[0], *look], no[1], [*no[2], *names]),
        [*outputs, *watch.outputs()],
        widths,
        watch.maker,
    )


def _either(
    flag: str, yes: Branch, no: Branch, outputs: Sequence[str], widths: dict[str, int], maker: Maker
) -> onnx.NodeProto:
    """An If whose branches read what is around them; float32 is what they give, unless ``widths`` says so."""
    graphs = [
        helper.make_graph(
            nodes,
            maker.fresh("branch"),
            [],
            [helper.make_tensor_value_info(name, widths.get(name, TensorProto.FLOAT), None) for name in ends],
            initializer=tensors,
        )
        for nodes, tensors, ends in (yes, no)
    ]
    name = maker.fresh("switch")
    return helper.make_node(
        "If", [flag], list(outputs), name=name, then_branch=graphs[0], else_branch=graphs[1]
    )


def _seen(file: File, value: str, maker: Maker) -> Branch:
    """The extent of a value and, where the opset has the means, a sample of it, evenly spread."""
    names = {stem: maker.fresh(stem) for stem in ("flat", "line", "high", "low", "size", "count")}
    end, extent = maker.fresh("shape"), maker.fresh("extent")
    nodes = [
        integers(end, -1, [1]),
        helper.make_node("Reshape", [value, end], [names["flat"]]),
        helper.make_node("Cast", [names["flat"]], [names["line"]], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", [names["line"]], [names["high"]], keepdims=1),
        helper.make_node("ReduceMin", [names["line"]], [names["low"]], keepdims=1),
        helper.make_node("Shape", [names["line"]], [names["size"]]),
        helper.make_node("Cast", [names["size"]], [names["count"]], to=TensorProto.FLOAT),
        helper.make_node("Concat", [names[stem] for stem in ("high", "low", "count")], [extent], axis=0),
    ]
    if file.opset < EXTRA_OPSET:
        return nodes, [], [extent]
    sample = maker.fresh("sample")
    counts = [maker.fresh(stem) for stem in ("begin", "one", "many", "two", "part", "double", "step")]
    begin, one, many, two, part, double, step = counts
    for name, number in ((begin, 0), (one, 1), (many, SAMPLE * 2), (two, 2)):
        nodes.append(integers(name, number, [1]))
    nodes += [  # an odd step: rows of even length are not seen in the same columns each time
        helper.make_node("Div", [names["size"], many], [part]),
        helper.make_node("Mul", [part, two], [double]),
        helper.make_node("Add", [double, one], [step]),
        helper.make_node("Slice", [names["line"], begin, names["size"], begin, step], [sample]),
    ]
    return nodes, [], [extent, sample]

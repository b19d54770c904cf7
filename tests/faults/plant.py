"""Plants one fault and proves that it is one: the model runs, with the same shapes and other numbers."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from . import attributes, parameters, runtime, wiring  # noqa: F401  (the kinds register themselves)
from .graph import Array, Shapes, Site, View
from .registry import KINDS, Kind, Patch


class NoEligibleNode(Exception):  # noqa: N818  (it is an answer about the model, not an error in it)
    """No node of the model can carry this kind of fault."""


@dataclass(frozen=True)
class Fault:
    """What was planted where."""

    kind: str
    node: str
    index: int
    op_type: str
    outputs: tuple[str, ...]
    target: str
    before: Any
    after: Any
    tensors: tuple[str, ...] = ()
    """Constants that differ, by their name in the faulty model."""

    @property
    def text(self) -> str:
        """What changed, in one line."""
        where = self.node or self.outputs[0]
        return f"{self.op_type} {where}: {self.target} {self.before} -> {self.after}"

    def __str__(self) -> str:
        return f"{self.kind} at node {self.index}: {self.text}"


class Injector:
    """Plants faults in one model, sharing what had to be learnt about it.

    ``shapes`` gives concrete input shapes for a model with dynamic ones (by input name, or under "" for the
    only input); what keeps its shape there is taken to keep it.
    """

    def __init__(self, model: ModelProto, shapes: Shapes | None = None) -> None:
        self.view = View(model, shapes)

    def eligible(self, word: str) -> list[int]:
        """Nodes for which the kind has a proposal; not all of them need survive the check."""
        return [i for i in self._sites(KINDS[word]) if self._proposals(KINDS[word], i, _generator(0, word))]

    def plant(self, seed: int, word: str | None = None) -> tuple[ModelProto, Fault]:
        """The faulty model and what is wrong with it; the same seed gives the same fault."""
        if word is not None:
            return self._plant(seed, KINDS[word])
        words = sorted(KINDS)
        for place in _generator(seed, "").permutation(len(words)):
            try:
                return self._plant(seed, KINDS[words[place]])
            except NoEligibleNode:
                continue
        raise NoEligibleNode("no kind of fault fits any node")

    def _plant(self, seed: int, kind: Kind) -> tuple[ModelProto, Fault]:
        rng = _generator(seed, kind.word)
        for index in rng.permutation(self._sites(kind)):
            for patch in self._proposals(kind, int(index), rng):
                if not self._holds(kind, int(index), patch):
                    continue
                faulty, names = apply(self.view, int(index), patch)
                if self._loads(faulty, kind):
                    return faulty, self._fault(kind, int(index), patch, names)
        raise NoEligibleNode(f"{kind.word}: no eligible node")

    def _sites(self, kind: Kind) -> list[int]:
        return [i for i in self.view.candidates if self.view.nodes[i].op_type in kind.op_types]

    def _proposals(self, kind: Kind, index: int, rng: np.random.Generator) -> list[Patch]:
        found = list(kind.propose(Site(self.view, index), rng))
        return [found[i] for i in rng.permutation(len(found))]

    def _fault(self, kind: Kind, index: int, patch: Patch, names: tuple[str, ...]) -> Fault:
        node = self.view.nodes[index]
        return Fault(
            kind=kind.word,
            node=node.name,
            index=index,
            op_type=node.op_type,
            outputs=tuple(node.output),
            target=patch.target,
            before=_frozen(patch.before),
            after=_frozen(patch.after),
            tensors=names,
        )

    def _holds(self, kind: Kind, index: int, patch: Patch) -> bool:
        """Whether the node alone, on random operands, keeps shape and type and gives other numbers.

        Keeping every shape at the node keeps them all downstream, since no candidate feeds a shape operand.
        A node that answers the same bits to all operands has been changed in nothing but its spelling.
        A kind that does not keep the shape must change it here, and passes the costlier check in ``_loads``.
        """
        healthy = self.view.isolated(index)
        faulty = isolated_patch(self.view, index, patch)
        differs = False
        for feeds in self._operands(index):
            try:
                before, after = runtime.run(healthy, feeds), runtime.run(faulty, feeds)
            except Exception:  # onnxruntime raises half a dozen types for a node it does not accept
                return False
            same = all(v.shape == after[n].shape and v.dtype == after[n].dtype for n, v in before.items())
            if not same or not kind.keeps_shape:
                return not same and not kind.keeps_shape
            differs |= any(not _same_bits(value, after[name]) for name, value in before.items())
        return differs

    def _operands(self, index: int) -> Iterator[dict[str, Array]]:
        """Two sets of operands, one of even and one of wildly different magnitudes.

        Clip and Softmax show their faults on large operands, epsilons theirs on small ones.
        """
        node = self.view.nodes[index]
        names = [n for n in dict.fromkeys(node.input) if n and self.view.constant(n) is None]
        ties = node.op_type in ("ArgMax", "ArgMin", *wiring._COMPARISONS)
        for spread in (0.0, 2.0):
            rng = np.random.default_rng(7)
            shapes = {name: self.view.shape(name) for name in names}
            if any(shape is None for shape in shapes.values()):
                return
            yield {
                name: _operand(rng, shape or (), self.view.elem_type(name), spread, ties)
                for name, shape in shapes.items()
            }

    def _loads(self, faulty: ModelProto, kind: Kind) -> bool:
        """Whether onnxruntime takes the model; where shapes moved, also whether the outputs keep theirs."""
        try:
            if kind.keeps_shape:
                runtime.session(faulty)
                return True
            feeds = self.view.sample_inputs(np.random.default_rng(7))
            before, after = runtime.run(self.view.model, feeds), runtime.run(faulty, feeds)
        except Exception:  # see _holds
            return False
        same = all(before[name].shape == after[name].shape for name in before)
        return same and any(not _same_bits(before[name], after[name]) for name in before)


def _same_bits(before: Array, after: Array) -> bool:
    return np.array_equal(before, after, equal_nan=before.dtype.kind == "f")


def _operand(
    rng: np.random.Generator, shape: tuple[int, ...], elem_type: int, spread: float, ties: bool
) -> Array:
    if elem_type == TensorProto.BOOL:  # a condition that is always the same hides one branch
        return rng.integers(0, 2, shape).astype(bool)
    return runtime.sample(rng, shape, elem_type, spread=spread, ties=ties)


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that a fault can be a key."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


def _generator(seed: int, word: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(word.encode())])


def plant(
    model: ModelProto, seed: int, kind: str | None = None, *, shapes: Shapes | None = None
) -> tuple[ModelProto, Fault]:
    """Plant one fault of a kind (or of a random one) in a copy of the model."""
    return Injector(model, shapes).plant(seed, kind)


def apply(view: View, index: int, patch: Patch) -> tuple[ModelProto, tuple[str, ...]]:
    """The patched copy of the model, and the names of the constants that changed in it."""
    model = ModelProto()
    model.CopyFrom(view.model)
    node = model.graph.node[index]
    node.CopyFrom(patch.node)
    names = []
    for position, value in patch.constants.items():
        name = patch.node.input[position] if position < len(patch.node.input) else ""
        if name and view.uses[name] == 1:
            _overwrite(view, model, name, value)
        else:  # somebody else reads it too, or there was none: the node gets its own
            name = _fresh(view, name or f"{node.output[0]}.operand")
            _rewire(node, position, name)
            _add_initializer(model, name, value)
        names.append(name)
    return model, tuple(names)


def isolated_patch(view: View, index: int, patch: Patch) -> ModelProto:
    """The patched node alone, for the cheap check; its constants are all its own here."""
    model = view.isolated(index)
    node = model.graph.node[0]
    node.CopyFrom(patch.node)
    for position, value in patch.constants.items():
        name = f"{node.output[0]}.operand{position}"
        _rewire(node, position, name)
        _add_initializer(model, name, value)
    return model


def _rewire(node: NodeProto, position: int, name: str) -> None:
    node.input.extend([""] * (position + 1 - len(node.input)))
    node.input[position] = name


def _fresh(view: View, stem: str) -> str:
    """A name that nothing in the model has."""
    taken = view.uses.keys() | view.producers.keys() | view.initializers.keys()
    name = f"{stem}.fault"
    while name in taken:
        name += "_"
    return name


def _overwrite(view: View, model: ModelProto, name: str, value: Array) -> None:
    """Put a new value where the old one was: in the initializer or in the Constant node."""
    if name in view.initializers:
        tensor = next(t for t in model.graph.initializer if t.name == name)
        tensor.CopyFrom(numpy_helper.from_array(value, name))
        return
    node = model.graph.node[view.producers[name]]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(value)))


def _add_initializer(model: ModelProto, name: str, value: Array) -> None:
    tensor = numpy_helper.from_array(value, name)
    model.graph.initializer.append(tensor)
    if model.ir_version < 4:  # there every initializer must be a graph input as well
        model.graph.input.append(_declared(tensor))


def _declared(tensor: onnx.TensorProto) -> ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)

"""Cuts of a file that run in one session give what each gives in its own, and those with blocks run alone."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import onnx
import pytest

from segdiff.core.captures import reads_of
from segdiff.core.graph import Array
from segdiff.engines.cutting import Cutter
from segdiff.engines.framework import Nodes
from segdiff.engines.merging import mergeable, merged
from segdiff.engines.parts import Parts
from segdiff.engines.protocol import of_part
from tests import models
from tests.models import save


def parts_of(model: onnx.ModelProto) -> list[Nodes]:
    """Every node by itself, on the tensors that it is fed when the whole model runs."""
    tensors = models.tensors_of(model, {model.graph.input[0].name: models.image()})
    tensors[model.graph.input[0].name] = models.image()
    held = {tensor.name for tensor in model.graph.initializer}
    return [
        Nodes(
            (index,),
            {name: tensors[name] for name in dict.fromkeys(reads_of(node)) if name not in held},
            tuple(node.output),
        )
        for index, node in enumerate(model.graph.node)
        if node.op_type != "Constant"
    ]


def values(engine: Parts, parts: list[Nodes]) -> dict[str, Array]:
    """What the engine delivers of the parts."""
    found: dict[str, Array] = {}

    def keep(value: str, address: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> None:
        found[value] = np.frombuffer(ctypes.string_at(address, nbytes), dtype).reshape(shape)

    engine.run_together(parts, keep)
    return found


@pytest.fixture
def engine(tmp_path: Path) -> Parts:
    program = save(models.segmenter(), tmp_path / "net.onnx")
    return Parts(program, 2, 1)


def test_parts_that_read_each_others_names_give_what_each_gives_alone(engine: Parts) -> None:
    parts = parts_of(engine.cutter.model)
    together = values(engine, parts)
    assert len(together) == sum(len(part.wanted) for part in parts) > 10
    for number, part in enumerate(parts):
        alone = values(engine, [part])
        for name in part.wanted:
            np.testing.assert_array_equal(together[of_part(number, name)], alone[of_part(0, name)])


def test_weights_that_parts_share_are_there_once(engine: Parts) -> None:
    part = next(
        part
        for part in parts_of(engine.cutter.model)
        if engine.cutter.model.graph.node[part.ops[0]].op_type == "Conv"
    )
    cuts = {number: engine.cutter.cut(part.ops, part.feeds, part.wanted) for number in range(3)}
    weights = [tensor.name for tensor in cuts[0].graph.initializer]
    model = merged(cuts)
    assert [tensor.name for tensor in model.graph.initializer] == weights
    assert len(model.graph.node) == 3


def test_what_reads_from_around_a_block_is_not_merged(tmp_path: Path) -> None:
    cutter = Cutter(save(models.if_network(), tmp_path / "if.onnx"))
    kinds = [node.op_type for node in cutter.model.graph.node]
    for index, kind in enumerate(kinds):
        cut = cutter.cut((index,), {}, tuple(cutter.model.graph.node[index].output))
        assert mergeable(cut) is (kind != "If")
    assert "If" in kinds and len(kinds) > 1


def test_a_part_with_a_block_runs_beside_merged_ones(tmp_path: Path) -> None:
    program = save(models.if_network(), tmp_path / "if.onnx")
    engine = Parts(program, 2, 1)
    parts = parts_of(engine.cutter.model)
    together = values(engine, parts)
    for number, part in enumerate(parts):
        alone = values(engine, [part])
        for name in part.wanted:
            np.testing.assert_array_equal(together[of_part(number, name)], alone[of_part(0, name)])

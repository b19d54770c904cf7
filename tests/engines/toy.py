"""A toy runtime for a toy format: a line an op, `Relu x y`, computed by numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph, Op, Value
from segdiff.engines.framework import Deliver, Nodes
from segdiff.engines.protocol import Deployed, Load

FUNCTIONS = {"Relu": lambda x: np.maximum(x, 0), "Exp": np.exp, "Neg": np.negative, "Tanh": np.tanh}


def read(program: Path) -> Graph:
    """The graph of a file of lines."""
    words = [line.split() for line in program.read_text().splitlines()]
    try:
        ops = tuple(
            Op(index, type, f"{type}.{index}", (start,), ("0",), (end,), {})
            for index, (type, start, end) in enumerate(words)
        )
    except ValueError as error:
        raise ModelError(f"{program}: a line is no op") from error
    names = dict.fromkeys(name for op in ops for name in (*op.inputs, *op.outputs))
    values = {name: Value(name, dtype="float32") for name in names}
    return Graph("toy", program, ops, values, {}, ops[0].inputs, ops[-1].outputs)


class Toy:
    """A loaded file of lines."""

    def __init__(self, message: Load) -> None:
        self.graph = read(message.files.program)

    def versions(self) -> dict[str, str]:
        """Numpy computes."""
        return {"toy": "1.0", "numpy": np.__version__}

    def run(
        self,
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None,
        edits: tuple[Edit, ...],
        deliver: Deliver,
    ) -> None:
        """Line after line."""
        assert ops is None and not edits
        values = dict(feeds)
        for op in self.graph.ops:
            values[op.outputs[0]] = FUNCTIONS[op.type](values[op.inputs[0]])
        for name, array in values.items():
            if name in wanted:
                array = np.ascontiguousarray(array)
                deliver(name, array.ctypes.data, array.nbytes, array.dtype.str, array.shape)

    def run_together(self, parts: Sequence[Nodes], deliver: Deliver) -> None:
        """Refuse: no part of it runs by itself."""
        raise NotImplementedError

    def run_deployed(
        self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver
    ) -> None:
        """The same: there is no optimiser."""
        self.run(feeds, wanted, None, (), deliver)

    def prepare(self, how: Deployed | None) -> None:
        """Nothing to begin."""

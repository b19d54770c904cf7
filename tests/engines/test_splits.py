"""Parts of a PIR tensor list are cut from the tensor that was split, where program constants say how."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdiff.core.graph import Graph, Op, Value
from segdiff.engines.lists import Split, splits, undelivered


def program(kind: str, sizes: list[int] | None, axis: float | None = 1.0) -> Graph:
    """``x`` of shape (1, 6, 2) split into two parts along axis 1."""
    ops = [
        Op(0, "full", "", (), (), ("axis",), {"value": axis}),
        Op(1, "full_int_array", "", (), (), ("sections",), {"value": sizes}),
    ]
    operands = {"split": ("x", "sections", "axis"), "split_with_num": ("x", "axis")}[kind]
    ops.append(Op(2, kind, "", operands, operands, ("list",), {}))
    ops.append(Op(3, "builtin.split", "", ("list",), ("0",), ("a", "b"), {}))
    return Graph("pir", Path("model.json"), tuple(ops), {"x": Value("x", (1, 6, 2))}, {}, ("x",), ("end",))


def test_sections_and_the_rest() -> None:
    (split,) = splits(program("split", [2, -1]))
    assert split == Split("x", ("a", "b"), 1, (2, -1))
    assert isinstance(split, Split)
    x = np.arange(12.0).reshape(1, 6, 2)
    first, rest = split.cut(x)
    assert (first == x[:, :2]).all() and (rest == x[:, 2:]).all() and rest.flags.c_contiguous


def test_equal_parts() -> None:
    (split,) = splits(program("split_with_num", None))
    assert split.sizes == (3, 3)


def test_only_what_cannot_be_cut_is_hidden() -> None:
    assert undelivered(program("split", [2, 4])) == {"list"}
    assert undelivered(program("split", None)) == {"list", "a", "b"}
    assert undelivered(program("split", [2, 4], axis=None)) == {"list", "a", "b"}

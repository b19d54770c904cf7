"""What does a PIR program (``.json`` of paddle 3) say? Compressed JSON -> Graph.

PIR values are written once already but have numbers, no names. They are called ``pd_op.conv2d.3.0`` here: the
op, the how manieth of that name in program order, the output. paddle2onnx 2.x counts the same way for its
ONNX tensors (``p2o.pd_op.conv2d.3.0``). The schema is paddle's ``pir/serialize_deserialize``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph, Op, Parameter, Value
from segdiff.readers import pir_attributes
from segdiff.readers.guard import guard, read_bytes
from segdiff.readers.pdiparams import read_parameters, without_data
from segdiff.readers.pir_slots import slot

_MAX_JSON = 512 * 1024 * 1024
"""Bytes of a program; the largest segmentation model has 2 MB, and Python needs ten times the text."""

_DIALECTS = {"0": "builtin", "1": "pd_op", "2": "cf", "3": "custom_op", "4": "dist"}
_PARAMETER = ("p", "builtin.parameter")
_INPUTS = ("pd_op.data", "pd_op.feed")
_OUTPUTS = ("pd_op.fetch", "builtin.shadow_output")
_ABSENT = 0  # the number of an optional operand that is not there
_KEPT = 0  # the place, among a parameter's own flags, of the one that says whether the file keeps it


def read(program: Path, params: Path | None) -> Graph:
    """Read program and parameters; ModelError where either is missing or damaged, or they do not fit."""
    block = parse(program)
    with guard(program, "the program"):
        declared = _declared(block)
        if params is None and declared:
            raise ModelError(
                f"{program}: the parameters are missing; put {program.stem}.pdiparams beside the program"
            )
    parameters = {} if params is None or not declared else read_parameters(params, declared)
    with guard(program, "the program"):
        return _Reader(program, parameters).graph(block)


def read_program(program: Path) -> Graph:
    """Read the program alone; the parameters have shapes but no data."""
    block = parse(program)
    with guard(program, "the program"):
        return _Reader(program, without_data(_declared(block), program)).graph(block)


def parse(path: Path) -> list[dict[str, Any]]:
    """Ops of the program's only block."""
    data = read_bytes(path, _MAX_JSON)
    with guard(path, "the program"):
        content = json.loads(data)
        base = content.get("base_code") if isinstance(content, dict) else None
        if not isinstance(base, dict) or base.get("magic") != "pir":
            raise ModelError(f"{path}: this JSON is no PIR program (no magic word 'pir')")
        ops = content["program"]["regions"][0]["blocks"][0]["ops"]
        if not isinstance(ops, list) or not ops:
            raise ModelError(f"{path}: holds no operators; export the model again")
        return ops


def _name(op: dict[str, Any]) -> str:
    """``pd_op.conv2d`` of an op written as ``1.conv2d``."""
    dialect, dot, name = str(op["#"]).partition(".")
    return f"{_DIALECTS.get(dialect, dialect)}.{name}" if dot else dialect


def _declared(ops: list[dict[str, Any]]) -> dict[str, Value]:
    """Name -> shape and type of the parameters that stand in the parameter file."""
    declared: dict[str, Value] = {}
    for op in ops:
        if _name(op) in _PARAMETER and _persistable(op):
            name = _parameter_name(op)
            if name in declared:
                raise ValueError(f"parameter {name} is declared twice")
            declared[name] = pir_attributes.describe(name, results_of(op)[0]["TT"])
    return declared


def _parameter_name(op: dict[str, Any]) -> str:
    """The compressed form ``p`` lists its attributes without names; the parameter's name is the fourth."""
    name = op["A"][3] if _name(op) == "p" else pir_attributes.attribute(op, "parameter_name")
    if not isinstance(name, str) or not name:
        raise ValueError("a parameter has no name")
    return name


def _persistable(op: dict[str, Any]) -> bool:
    """Whether a parameter has data: the dropout state of an LSTM, unused at inference, has none."""
    if _name(op) == "p":
        flags = op.get("OA", ())
        return bool(flags[_KEPT]) if len(flags) > _KEPT else True
    kept = next(
        (pir_attributes.decode(item["AT"]) for item in op.get("OA", ()) if item["N"] == "persistable"), None
    )
    return bool(kept[0]) if isinstance(kept, list) and kept else True


def results_of(op: dict[str, Any]) -> list[dict[str, Any]]:
    """The op's results; the compressed parameter has one that is not in a list."""
    results = op.get("O", [])
    return [results] if isinstance(results, dict) else list(results)


def is_parameter(op: dict[str, Any]) -> bool:
    """Whether an op declares a parameter."""
    return _name(op) in _PARAMETER


def names_of(ops: list[dict[str, Any]], path: Path) -> dict[int, str]:
    """The name of every numbered value of a program's only block, as :func:`read` names them."""
    reader = _Reader(path, {})
    reader.graph(ops)
    return reader.names


class _Reader:
    """One walk over the block in program order, giving every numbered value its name."""

    def __init__(self, path: Path, parameters: dict[str, Parameter]) -> None:
        self.path = path
        self.parameters = parameters
        self.names: dict[int, str] = {}
        self.without_data = {_ABSENT}
        self.values: dict[str, Value] = {}
        self.inputs: list[str] = []
        self.outputs: list[tuple[int, str]] = []

    def graph(self, block: list[dict[str, Any]]) -> Graph:
        """Walk the block."""
        counts: Counter[str] = Counter()
        ops = []
        for index, item in enumerate(block):
            name = _name(item)
            number = counts[name]
            counts[name] += 1
            if name in _PARAMETER and not _persistable(item):
                self.without_data.add(results_of(item)[0]["%"])
            elif name in _PARAMETER:
                self._number(results_of(item)[0], _parameter_name(item))
            elif name in _INPUTS:
                self._input(item)
            elif name in _OUTPUTS:
                column = pir_attributes.attribute(item, "col")
                self.outputs.append((column if isinstance(column, int) else 0, self._operands(item)[0][1]))
            else:
                ops.append(self._op(index, name, f"{name}.{number}", item))
        return Graph(
            format="pir",
            path=self.path,
            ops=tuple(ops),
            values=self.values,
            parameters=self.parameters,
            inputs=tuple(self.inputs),
            outputs=tuple(name for _, name in sorted(self.outputs, key=lambda output: output[0])),
        )

    def _op(self, index: int, full: str, name: str, item: dict[str, Any]) -> Op:
        type_name = full.removeprefix("pd_op.").removesuffix("_")
        operands = [(slot(type_name, position), value) for position, value in self._operands(item)]
        own = {value for _, value in operands}
        captured = [
            self._lookup(number) for number in captured_numbers(item) if number not in self.without_data
        ]
        operands += [("captured", value) for value in dict.fromkeys(captured) if value not in own]
        outputs = [self._value(result, f"{name}.{place}") for place, result in enumerate(results_of(item))]
        return Op(
            index=index,
            type=type_name,
            name=name,
            inputs=tuple(value for _, value in operands),
            slots=tuple(role for role, _ in operands),
            outputs=tuple(outputs),
            attributes=pir_attributes.attributes(item),
        )

    def _input(self, item: dict[str, Any]) -> None:
        name = pir_attributes.attribute(item, "name")
        if not isinstance(name, str) or not name:
            raise ValueError("an input has no name")
        self.inputs.append(self._value(results_of(item)[0], name))

    def _operands(self, item: dict[str, Any]) -> list[tuple[int, str]]:
        """(position, value) of the operands that are there."""
        numbers = [operand["%"] for operand in item.get("I", ())]
        there = [(place, number) for place, number in enumerate(numbers) if number not in self.without_data]
        return [(place, self._lookup(number)) for place, number in there]

    def _lookup(self, number: int) -> str:
        if number not in self.names:
            raise ValueError(f"value %{number} is read before it is written")
        return self.names[number]

    def _value(self, result: Mapping[str, Any], name: str) -> str:
        if name in self.values or name in self.parameters:
            raise ValueError(f"two values are called {name}")
        self.values[name] = pir_attributes.describe(name, result["TT"])
        self._number(result, name)
        return name

    def _number(self, result: Mapping[str, Any], name: str) -> None:
        number = result["%"]
        if not isinstance(number, int) or number in self.names:
            raise ValueError(f"value %{number} is written twice")
        self.names[number] = name


def captured_numbers(op: dict[str, Any]) -> list[int]:
    """Numbers an op with regions (if, while) reads from around it, in order of use."""
    used: dict[int, None] = {}
    defined = {_ABSENT}
    for block in blocks_inside(op):
        defined.update(arg["#"] for key in ("args", "kwargs") for arg in block.get(key, ()))
        for item in block["ops"]:
            used.update(dict.fromkeys(operand["%"] for operand in item.get("I", ())))
            defined.update(result["%"] for result in results_of(item))
    return [number for number in used if number not in defined]


def blocks_inside(op: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All blocks inside an op, at any depth."""
    waiting = [op]
    while waiting:
        for region in waiting.pop().get("regions", ()):
            for block in region["blocks"]:
                yield block
                waiting.extend(block["ops"])

"""What does a ``.pdmodel`` say? ``ProgramDesc`` (protobuf) -> Graph.

A program overwrites variables; a graph does not. A variable's first value keeps its name, each further one
is ``name@1``, ``name@2``, ... A fed variable and a parameter have their first value before any op runs, so
what a batch norm writes back over its running mean ``bn.w_1`` is ``bn.w_1@1``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph, Op, Parameter, Value
from segdiff.readers.framework_proto import dtype_name, framework
from segdiff.readers.guard import guard, read_bytes
from segdiff.readers.pdiparams import read_parameters, without_data

# numbers of VarType.Type that are persistable but never stand in a parameter file
_NO_PARAMETER = {9, 10, 15, 17}  # FEED_MINIBATCH, FETCH_LIST, READER, RAW
_TENSOR = 7  # DENSE_TENSOR, LOD_TENSOR before 3.0
_EMPTY = ("", "@EMPTY@")

_NOISE = frozenset(
    (
        "op_callstack",
        "op_role",
        "op_role_var",
        "op_namescope",
        "op_device",
        "op_struct_name",
        "with_quant_attr",
        "use_cudnn",
        "use_mkldnn",
        "use_onednn",
        "use_quantizer",
        "mkldnn_data_type",
        "onednn_data_type",
        "exhaustive_search",
        "workspace_size_MB",
        "use_addto",
    )
)
"""Attributes about how and where an op was traced or runs, not about what it computes."""

_MAIN_SLOTS = ("Out", "Output", "Y")
"""Slots of an op's main output: it comes first, before statistics and XShape."""

# AttrType number -> the field of OpDesc.Attr that holds the data
_ATTRIBUTE_FIELDS = {
    0: "i",
    1: "f",
    2: "s",
    3: "ints",
    4: "floats",
    5: "strings",
    6: "b",
    7: "bools",
    8: "block_idx",
    9: "l",
    10: "blocks_idx",
    11: "longs",
    12: "float64s",
    13: "var_name",
    14: "vars_name",
    15: "float64",
    16: "scalar",
    17: "scalars",
}


def read(program: Path, params: Path | None) -> Graph:
    """Read program and parameters; ModelError where either is missing or damaged, or they do not fit."""
    block = parse(program).blocks[0]  # sub-blocks stay inside the ops that run them
    with guard(program, "the program"):
        declared = _declared(block, program)
        if params is None and declared:
            raise ModelError(
                f"{program}: the parameters are missing; put {program.stem}.pdiparams beside the program"
            )
    parameters = {} if params is None or not declared else read_parameters(params, declared)
    with guard(program, "the program"):
        return _Reader(program, block, parameters).graph()


def read_program(program: Path) -> Graph:
    """Read the program alone; the parameters have shapes but no data."""
    block = parse(program).blocks[0]  # sub-blocks stay inside the ops that run them
    with guard(program, "the program"):
        return _Reader(program, block, without_data(_declared(block, program), program)).graph()


def parse(path: Path) -> Any:
    """The program's message. Raises ModelError where the file holds no program."""
    data = read_bytes(path)
    with guard(path, "the program"):
        program = framework().ProgramDesc()
        program.ParseFromString(data)
        if not program.blocks or not program.blocks[0].ops:
            raise ModelError(f"{path}: holds no operators, so it is no .pdmodel; export the model again")
        return program


def _declared(block: Any, path: Path) -> dict[str, Value]:
    """Name -> shape and type of the variables that stand in the parameter file."""
    declared: dict[str, Value] = {}
    for var in block.vars:
        if not var.persistable or var.type.type in _NO_PARAMETER:
            continue
        if var.type.type != _TENSOR:
            raise ModelError(f"{path}: parameter {var.name} is no dense tensor; segdiff cannot read it")
        declared[var.name] = _value(var.name, var)
    return declared


def _value(name: str, var: Any) -> Value:
    """Shape and dtype as declared; -1 is a dynamic dimension."""
    described = tensor_type(var.type) if var.type.type == _TENSOR else None
    if described is None:
        return Value(name)
    shape = tuple(None if dim < 0 else int(dim) for dim in described.tensor.dims)
    return Value(name, shape, dtype_name(described.tensor.data_type))


def tensor_type(var_type: Any) -> Any:
    """The field of a variable's type that describes a tensor; None where it is none."""
    for field in ("dense_tensor", "lod_tensor"):  # renamed in paddle 3.0
        if field in var_type.DESCRIPTOR.fields_by_name:
            return getattr(var_type, field) if var_type.HasField(field) else None
    return None


class _Reader:
    """One walk over the ops in program order, carrying the latest version of every variable."""

    def __init__(self, path: Path, block: Any, parameters: dict[str, Parameter]) -> None:
        self.path = path
        self.block = block
        self.vars = {var.name: var for var in block.vars}
        self.parameters = parameters
        self.latest: dict[str, str] = {name: name for name in parameters}
        self.versions: Counter[str] = Counter(dict.fromkeys(parameters, 1))
        self.values: dict[str, Value] = {}
        self.feeds: list[tuple[int, str]] = []
        self.fetches: list[tuple[int, str]] = []

    def graph(self) -> Graph:
        """Walk the block."""
        counts: Counter[str] = Counter()
        ops = []
        for index, desc in enumerate(self.block.ops):
            if desc.type == "feed":
                self.feeds += [(_column(desc), self._feed(name)) for _, name in arguments(desc.outputs)]
            elif desc.type == "fetch":
                self.fetches += [
                    (_column(desc), self._read(name, desc)) for _, name in arguments(desc.inputs)
                ]
            else:
                ops.append(self._op(index, f"{desc.type}.{counts[desc.type]}", desc))
                counts[desc.type] += 1
        return Graph(
            format="pdmodel",
            path=self.path,
            ops=tuple(ops),
            values=self.values,
            parameters=self.parameters,
            inputs=_in_order(self.feeds),
            outputs=_in_order(self.fetches),
        )

    def _op(self, index: int, name: str, desc: Any) -> Op:
        reads = [(slot, self._read(var, desc)) for slot, var in arguments(desc.inputs)]
        place = {var: number for number, (_, var) in enumerate(arguments(desc.inputs))}
        carried = place if desc.type == "while" else {}  # a loop writes what it carries: in the order read
        writes = sorted(
            arguments(desc.outputs), key=lambda item: (item[0] not in _MAIN_SLOTS, carried.get(item[1], 0))
        )
        return Op(
            index=index,
            type=desc.type,
            name=name,
            inputs=tuple(value for _, value in reads),
            slots=tuple(slot for slot, _ in reads),
            outputs=tuple(self._write(var) for _, var in writes),
            attributes={attr.name: _attribute(attr) for attr in desc.attrs if attr.name not in _NOISE},
        )

    def _feed(self, var: str) -> str:
        if var in self.latest:
            raise ModelError(
                f"{self.path}: variable {var} is fed after it was written; export the model again"
            )
        return self._write(var)

    def _read(self, var: str, desc: Any) -> str:
        if var not in self.latest:
            # a tensor array comes to life without an op; what is not even declared is an error
            if var not in self.vars:
                raise ModelError(f"{self.path}: {desc.type} reads {var}, which the program does not declare")
            return self._write(var)
        return self.latest[var]

    def _write(self, var: str) -> str:
        name = self._fresh_name(var)
        self.latest[var] = name
        self.values[name] = _value(name, self.vars[var]) if var in self.vars else Value(name)
        return name

    def _fresh_name(self, var: str) -> str:
        while True:
            number = self.versions[var]
            self.versions[var] += 1
            name = f"{var}@{number}" if number else var
            if number == 0 or (name not in self.vars and name not in self.values):
                return name


def arguments(slots: Any) -> Iterator[tuple[str, str]]:
    """(slot, variable) pairs of an op's inputs or outputs; a slot with a list appears several times."""
    for slot in slots:
        for name in slot.arguments:
            if name not in _EMPTY:
                yield slot.parameter, name


def _column(desc: Any) -> int:
    return next((int(attr.i) for attr in desc.attrs if attr.name == "col"), 0)


def _in_order(columns: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(name for _, name in sorted(columns, key=lambda item: item[0]))


def _attribute(attr: Any) -> Any:
    field = _ATTRIBUTE_FIELDS.get(attr.type)
    data = getattr(attr, field, None) if field else None
    if field == "scalar":
        return _scalar(data)
    if field == "scalars":
        return [_scalar(item) for item in attr.scalars]
    if isinstance(data, bool | int | float | str) or data is None:
        return data
    return list(data)


def _scalar(scalar: Any) -> Any:
    kind = scalar.DESCRIPTOR.enum_types_by_name["Type"].values_by_number[scalar.type].name
    if kind == "COMPLEX128":
        return complex(scalar.c.r, scalar.c.i)
    return {"BOOLEAN": scalar.b, "LONG": scalar.i, "FLOAT64": scalar.r}.get(kind)

"""What did a device leave behind? The tensors that it wrote while it ran an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segdiff.core.graph import Array


@dataclass(frozen=True)
class DumpedTensor:
    """One tensor of a dump.

    ``value`` is the name that the ONNX file has for it; ``dtype`` numpy's name of the type that it is stored
    in (``bfloat16`` for that); ``shape`` what ``load`` gives. ``load`` reads it in the layout and the kind of
    number that the ONNX value has: a float in its stored type (bfloat16 widened to float32), an index or a
    truth value as the file declares it, padding cut off. It raises ModelError where the file is damaged or
    has changed. A shape that is not the declared one is kept, and told among the dump's remarks. ``how`` says
    what was undone, a few words each (``NC1HWC0``, ``int32 for int64``), so that a report can say each once.
    """

    value: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], Array] = field(repr=False, compare=False)
    how: tuple[str, ...] = ()


@dataclass(frozen=True)
class DumpedOp:
    """One operator as the device ran it: the ONNX nodes that it stands for, by their index in the graph
    (several where it fused them), and what it was seen to read and to write, by ONNX value."""

    name: str
    nodes: frozenset[int]
    inputs: Mapping[str, DumpedTensor]
    outputs: Mapping[str, DumpedTensor]


@dataclass(frozen=True)
class Dump:
    """A dump against its ONNX file.

    ``form`` is the reader's name; ``tensors`` are by ONNX value, whoever wrote or read them; ``ops`` are the
    operators that a form knows of (none where it holds tensors alone). ``problems`` are the files and names
    that could not be used, a plain line each; ``remarks`` what was undone or assumed, said once.
    """

    path: Path
    form: str
    tensors: Mapping[str, DumpedTensor]
    ops: tuple[DumpedOp, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenDump:
    """A dump that segdiff has written: its ``path``, how many values are in it, how many its engine did not
    show, and how the input was made."""

    path: Path
    values: int
    left_out: int
    how: tuple[str, ...] = ()

"""Which ONNX nodes did the compiler fuse into which operator? The OM's JSON (``atc --mode=1``), ``.om2``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from segdiff.core.errors import ModelError
from segdiff.readers.dumps.manifest import read_json
from segdiff.readers.guard import guard

MAX_BYTES = 128 << 20
"""Bytes of the JSON, some 10 kB for each of ten thousand operators."""

MAX_OPS = 100_000
"""Operators of a compiled model."""

_NAMES = "_datadump_original_op_names"
_ORIGIN = "_datadump_origin_name"
_INDEX = "_datadump_origin_output_index"


@dataclass(frozen=True)
class OmOp:
    """An operator of the compiled model.

    ``originals`` are the ONNX nodes that it stands for, none of one that the compiler inserted; ``inputs``
    the operators and outputs that it reads, () where the file does not say; ``outputs`` the ONNX node and
    output that each of its own is, None where the file does not say.
    """

    name: str
    type: str
    originals: tuple[str, ...]
    inputs: tuple[tuple[str, int], ...] = ()
    outputs: tuple[tuple[str, int] | None, ...] = ()


def read_om(file: Path) -> Mapping[str, OmOp]:
    """The operators by name. Raises ModelError where the file is none of the two."""
    with guard(file, "the map of operators"):
        if not file.is_file():
            raise ModelError(f"{file}: no such file; write it with atc --mode=1 --om=m.om --json=m.json")
        found = _second(file) if zipfile.is_zipfile(file) else _json(read_json(file, MAX_BYTES))
        ops = list(islice(found, MAX_OPS))
        if not ops:
            raise ModelError(
                f"{file}: names no operator; write it with atc --mode=1 --om=m.om --json=m.json, "
                "or give the .om2"
            )
        return {op.name: op for op in ops}


def _json(content: Any) -> Iterator[OmOp]:
    for graph in _list(content, "graph"):
        for op in _list(graph, "op"):
            name = op.get("name") if isinstance(op, dict) else None
            if isinstance(name, str) and name:
                yield _op(name, op)


def _op(name: str, op: Mapping[str, Any]) -> OmOp:
    found = _attribute(op, _NAMES)
    strings = _list(found.get("list"), "s")
    inputs = [_edge(text) for text in _list(op, "input") if isinstance(text, str)]
    kind = op.get("type")
    return OmOp(
        name,
        kind if isinstance(kind, str) else "",
        tuple(text for text in strings if isinstance(text, str) and text),
        tuple(edge for edge in inputs if edge is not None and edge[1] >= 0),
        tuple(_origin(described) for described in _list(op, "output_desc")),
    )


def _edge(text: str) -> tuple[str, int] | None:
    """``conv1:0``; an index below 0 is a dependence without data."""
    name, _, index = text.rpartition(":")
    number = _number(index)
    return (name, number) if name and number is not None else None


def _origin(described: Any) -> tuple[str, int] | None:
    name = _attribute(described, _ORIGIN).get("s")
    index = _number(_attribute(described, _INDEX).get("i", 0))
    return (name, index) if isinstance(name, str) and name and index is not None else None


def _attribute(owner: Any, key: str) -> Mapping[str, Any]:
    """The value of an attribute; nothing where it has none."""
    for attr in _list(owner, "attr"):
        if isinstance(attr, dict) and attr.get("key") == key:
            value = attr.get("value")
            return value if isinstance(value, dict) else {}
    return {}


def _number(given: Any) -> int | None:
    """A number; 64 bits stand as a string in protobuf's JSON."""
    if isinstance(given, bool) or not isinstance(given, int | str):
        return None
    if isinstance(given, int):
        return given
    digits = given.removeprefix("-")
    return int(given) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _list(owner: Any, key: str) -> list[Any]:
    found = owner.get(key) if isinstance(owner, dict) else None
    return found if isinstance(found, list) else []


def _second(file: Path) -> Iterator[OmOp]:
    """``data/model_*/op_attr.json`` of an ``.om2``."""
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            parts = member.filename.split("/")
            if len(parts) == 3 and parts[0] == "data" and parts[2] == "op_attr.json":
                if member.file_size > MAX_BYTES:
                    raise ModelError(f"{file}: {member.filename} unpacks to {member.file_size} bytes")
                with archive.open(member) as stream:
                    content = json.loads(stream.read(MAX_BYTES + 1)[:MAX_BYTES])
                for name, attributes in content.items() if isinstance(content, dict) else ():
                    yield OmOp(name, "", tuple(_strings(attributes)))


def _strings(attributes: Any) -> Iterator[str]:
    found = attributes.get(_NAMES) if isinstance(attributes, dict) else None
    for text in _list(found, "value"):
        if isinstance(text, str) and text:
            yield text

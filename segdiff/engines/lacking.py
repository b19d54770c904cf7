"""Why does the converter refuse a program, and what could be tried? From its log, and from what it knows.

paddle2onnx 1.x names the operators that it lacks on a line without a label; 2.x loses their names. It can be
asked for all that it knows, though, and the rest of the program's operators are those it lacks.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segdiff.core.errors import SegdiffError
from segdiff.core.process import mortal, start
from segdiff.readers import ModelFiles, read

NAMED = re.compile(r"not supported yet, including\s+(\w[\w.,\s]*)")
LISTED = re.compile(r"^=+:?\s*(\w+)\s*=*$", re.MULTILINE)
"""How the oldest versions list them: ``=====: name``."""
LACKS = re.compile(r"unsupported operators|operators? not supported|ops are not supported")
NEEDS_OPSET = re.compile(r"minimal opset version of (\d+)|set the opset_version to (\d+)")
OPSET_RANGE = re.compile(r"Opset Version must be between (\d+) and (\d+)")
OTHER_TYPE = re.compile(r"elementwise MUST be ir::\w+Attribute")
"""What paddle2onnx 2.1.0 says of lists of floats that Paddle 3.3 writes as doubles."""
ABSENT = re.compile(r"No module named '?paddle2onnx")

KNOWN = """
import json
from paddle2onnx import paddle2onnx_cpp2py_export as converter
names = set()
for ask in ("get_all_supported_operators", "get_all_supported_operators_pir"):
    if hasattr(converter, ask):
        names.update(getattr(converter, ask)())
print("known " + json.dumps(sorted(names)))
"""
ASKING = 120.0
"""Seconds for that: it imports Paddle."""
STRUCTURE = frozenset(
    (
        *("feed", "fetch", "data", "p", "parameter", "shadow_output", "print"),
        *("if", "while", "yield", "conditional_block", "select_input"),
        *("has_elements", "stack_create", "tuple_push", "tuple_pop"),
    )
)
"""Operators that the converter treats by itself, without being asked whether it knows them."""
OTHER_NAMES = {
    "topk": "top_k_v2",
    "numel": "size",
    "add_n": "sum",
    "nonzero": "where_index",
    "arange": "range",
    "remainder": "elementwise_mod",
    "floor_divide": "elementwise_floordiv",
    "subtract": "elementwise_sub",
    "multiply": "elementwise_mul",
    "divide": "elementwise_div",
    "minimum": "elementwise_min",
    "maximum": "elementwise_max",
    "flatten": "flatten_contiguous_range",
    "grid_sample": "grid_sampler",
    "repeat_interleave_with_tensor_index": "repeat_interleave",
}
"""Names of PIR that the converter knows by an older one which no rule gives."""


def lacking_operators(files: ModelFiles, log: str) -> str | None:
    """Which operators the converter lacks, in words; None where the log speaks of something else."""
    if not LACKS.search(log):
        return None
    found = NAMED.search(log)
    named = re.findall(r"\w+", found[1].splitlines()[0]) if found else LISTED.findall(log)
    lacked = named or sorted(lacking(files))
    if not lacked:
        return "it lacks an operator of this program and does not say which"
    return f"it has no converter for {', '.join(lacked)}"


def advice(log: str, opset: int | None) -> str:
    """What to try, for a log of a conversion that failed."""
    if ABSENT.search(log):
        return "Install it: pip install paddle2onnx (it has no wheels for Python 3.13)."
    version = installed()
    other = f"another version of paddle2onnx ({version} is installed)" if version else "another paddle2onnx"
    if OTHER_TYPE.search(log):
        paddle = _version("paddlepaddle")
        return (
            f"Paddle {paddle} writes the numbers of an attribute in another type than it expects: "
            "try it beside an older Paddle (3.2.2), or 1.3.1 of it for a .pdmodel."
        )
    if LACKS.search(log):
        return f"Try {other}, or export the model without that operator."
    wanted = [int(a or b) for a, b in NEEDS_OPSET.findall(log)]
    if wanted and (opset is None or max(wanted) > opset):
        return f"Try --opset {max(wanted)}."
    allowed = OPSET_RANGE.search(log)
    if allowed:
        return f"Give an --opset from {allowed[1]} to {allowed[2]}."
    return f"Try another --opset{f' than {opset}' if opset else ', 11 or 16 for instance'}, or {other}."


def installed() -> str | None:
    """The version of the converter beside us; None where there is none."""
    return _version("paddle2onnx")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def lacking(files: ModelFiles) -> set[str]:
    """The program's operators that the converter does not know; empty where it cannot be asked."""
    known = _known()
    return {name for name in _operators(files) if known and not names_of(name) & known}


def names_of(operator: str) -> set[str]:
    """The names by which the converter may know an operator: PIR's, and the older ones."""
    plain = operator.rstrip("_")
    found = {operator, plain, OTHER_NAMES.get(plain, plain)}
    for name in (plain, OTHER_NAMES.get(plain, plain)):
        found |= {f"{name}2", f"{name}_v2", f"elementwise_{name}", f"reduce_{name}"}
    for short, long in (("arg", "arg_"), ("hard", "hard_")):
        if plain.startswith(short):
            found.add(long + plain.removeprefix(short))
    return found


def _known() -> frozenset[str]:
    with TemporaryDirectory(prefix="segdiff-") as folder:  # python -c looks in the current folder first
        child = start(mortal([sys.executable, "-c", KNOWN]), folder=Path(folder))
        try:
            child.wait(ASKING)
            lines = [line for line in child.printed().splitlines() if line.startswith("known [")]
        finally:
            child.close()
    return frozenset(json.loads(lines[-1].removeprefix("known "))) if lines else frozenset()


def _operators(files: ModelFiles) -> set[str]:
    if files.format == "pir":
        program = json.loads(files.program.read_bytes())["program"]
        names = {name.rpartition(".")[2] for name in _pir_names(program) if not name.startswith("0.")}
        return names - STRUCTURE
    try:
        return {op.type for op in read(files).ops} - STRUCTURE
    except SegdiffError:
        return set()


def _pir_names(node: Any) -> Iterator[str]:
    """The names of all operators of a program, those inside of others too; ``0.`` is the builtin dialect."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            for op in each.get("ops", ()):
                yield str(op.get("#"))
            waiting += each.values()

"""What is in a dump, once each tensor is read? What can be used, in which arithmetic, what is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from segdiff.core.dumped import Dump, DumpedOp, DumpedTensor
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import unit_of
from segdiff.walk.judge import size_of

FEWEST = 8
"""Different numbers, none of them whole, that tell the type of a tensor: by chance one float32 number in 8192
is one of float16."""

SAMPLE = 1 << 16
"""Numbers of a tensor that are looked at first."""


@dataclass(frozen=True)
class Handed:
    """A value that an operator of the device was given otherwise than the one before it had made it:
    ``made`` against ``given`` is the ``comparison``."""

    op: DumpedOp
    value: str
    made: DumpedTensor
    given: DumpedTensor
    comparison: Comparison


@dataclass(frozen=True)
class CheckedDump:
    """A dump whose tensors can all be read; ``stored`` is the type each was computed in, which may be coarser
    than that of its file; ``broken`` are those with NaN or infinite values, ``handed`` those that changed
    between two operators, ``quantised`` those whose bytes stand for other numbers."""

    dump: Dump
    stored: dict[str, str]
    broken: frozenset[str]
    handed: tuple[Handed, ...] = ()
    quantised: frozenset[str] = frozenset()

    @property
    def arithmetic(self) -> str:
        """The type in which most of the device's numbers are stored."""
        found = [
            dtype
            for name, dtype in self.stored.items()
            if dtype.startswith(("float", "bfloat")) or name in self.quantised
        ]
        return max(sorted(set(found)), key=found.count, default="float32")


def checked(
    dump: Dump, progress: Callable[[int, int], None], quantised: frozenset[str] = frozenset()
) -> CheckedDump:
    """Read every tensor once; of the ``quantised`` ones the bytes stand for other numbers. Raises ModelError
    where none can be read; one that cannot is left out, with a line of the dump's problems."""
    problems: list[str] = []
    stored: dict[str, str] = {}
    broken: set[str] = set()
    for place, (name, tensor) in enumerate(dump.tensors.items()):
        progress(place, len(dump.tensors))
        try:
            array = tensor.load()
        except ModelError as error:
            problems.append(str(error))
            continue
        stored[name] = tensor.dtype if tensor.dtype != "float32" else told_by(array)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            broken.add(name)
    if not stored:
        raise ModelError(f"{dump.path}: none of its tensors can be read: {problems[0]}")
    tensors = {name: tensor for name, tensor in dump.tensors.items() if name in stored}
    ops = tuple(
        replace(
            op,
            inputs={name: t for name, t in op.inputs.items() if name in stored},
            outputs={name: t for name, t in op.outputs.items() if name in stored},
        )
        for op in dump.ops
    )
    found = replace(dump, tensors=tensors, ops=ops, problems=(*dump.problems, *problems))
    bytes_ = quantised & stored.keys()
    return CheckedDump(found, stored, frozenset(broken), tuple(handed_on(found)), bytes_)


def handed_on(dump: Dump) -> Iterator[Handed]:
    """The values that an operator was given otherwise than they were made, beyond their types' rounding."""
    for op in dump.ops:
        for name, given in op.inputs.items():
            made = dump.tensors.get(name)
            if made is None or made is given:
                continue
            try:
                ours, theirs = made.load(), given.load()
            except ModelError:
                continue  # of the value made it was told; of one that was read, only here: it is not used
            found = compare_arrays(ours, theirs)
            unit = max(unit_of(made.dtype), unit_of(given.dtype))
            if size_of(found) > 2 * unit:
                yield Handed(op, name, made, given, found)


def told_by(array: Array) -> str:
    """The type that float32 numbers were rounded to: float16 or bfloat16, where all of them are such numbers
    and enough of them to tell."""
    if array.dtype != np.float32:
        return str(array.dtype)
    flat = array.reshape(-1)
    flat = flat[np.isfinite(flat)] if not np.isfinite(flat).all() else flat
    head = flat[:: max(1, flat.size // SAMPLE)]
    if np.unique(head[head != np.rint(head)]).size < FEWEST:
        return "float32"
    for dtype, keeps in (("bfloat16", _is_bfloat16), ("float16", _is_float16)):
        if keeps(head) and keeps(flat):
            return dtype
    return "float32"


def _is_float16(array: Array) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(array.astype(np.float16).astype(np.float32), array)


def _is_bfloat16(array: Array) -> bool:
    return not np.any(np.ascontiguousarray(array).view(np.uint32) & 0xFFFF)

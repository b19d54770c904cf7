"""Which arrays become which values? Every name settled, nothing taken twice, the rest told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segdiff.core.dumped import Dump, DumpedOp, DumpedTensor
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps.fit import Fitted, fitted, regrouped
from segdiff.readers.dumps.listing import printable
from segdiff.readers.dumps.names import Meaning
from segdiff.readers.dumps.stored import Stored, shape_text

MAX_LINES = 50
"""Problems that are told one by one; a dump of another model has as many as it has files."""

_SHOWN = 4
"""Names in a line that could go on."""


@dataclass(frozen=True)
class Sighting:
    """An array and all that its name can mean.

    ``device`` names the operator of the device that had it; in a shape of ``unlike``, without its ones, it
    can be something else: a weight of that operator.
    """

    stored: Stored
    meanings: frozenset[Meaning]
    device: str = ""
    unlike: frozenset[tuple[int, ...]] = frozenset()


@dataclass(frozen=True)
class _Seen:
    meaning: Meaning
    sighting: Sighting
    fitted: Fitted


def gathered(
    path: Path,
    form: str,
    sightings: Iterable[Sighting],
    graph: Graph,
    nodes: Mapping[str, frozenset[int]],
    problems: Sequence[str],
    remarks: Sequence[str] = (),
) -> Dump:
    """The dump that the sightings make. ``nodes`` are those of each device operator.

    Raises ModelError where nothing at all can be used.
    """
    lines, notes = list(problems), list(remarks)
    seen = [one for sighting in sightings for one in _settled(sighting, graph, lines)]
    seen = _without_doubt(seen, lines)
    outputs = _once([one for one in seen if one.meaning.role == "output"], lines)
    inputs = _first([one for one in seen if one.meaning.role == "input"])
    tensors = {name: one.fitted.tensor for name, one in {**inputs, **outputs}.items()}
    if not tensors:
        raise ModelError(nothing_usable(path, graph, lines))
    notes += _others([*outputs.values(), *inputs.values()])
    return Dump(
        path, form, tensors, _operators(seen, outputs, graph, nodes), told(lines), tuple(dict.fromkeys(notes))
    )


def nothing_usable(path: Path, graph: Graph, problems: Sequence[str]) -> str:
    """The line for a dump that holds nothing of this ONNX file."""
    names = ", ".join(printable(name, 60) for name in [*graph.outputs, *graph.inputs][:_SHOWN])
    why = f" ({printable(problems[0], 300)}{_more(len(problems) - 1)})" if problems else ""
    return printable(
        f"{path}: holds no tensor of {graph.path.name}{why}; looked for .npy or .npz by tensor name "
        f"({names}, …), Ascend raw dumps, .bin, .raw or .txt results, Polygraphy and trtexec JSON: "
        "give the folder of one run, or name the files in a manifest.json (docs/dumps.md)",
        1000,
    )


def constants_told(count: int) -> tuple[str, ...]:
    """A remark on constants of the file that the dump holds as well.

    >>> constants_told(0), constants_told(2)
    ((), ('2 constants of the file are in the dump, too, and not compared',))
    """
    words = "1 constant of the file is" if count == 1 else f"{count} constants of the file are"
    return (f"{words} in the dump, too, and not compared",) if count else ()


def told(lines: Sequence[str]) -> tuple[str, ...]:
    """The problems, each once, on a line of its own, and how many there are beyond the first ones."""
    once = tuple(dict.fromkeys(printable(line, 400) for line in lines))
    rest = len(once) - MAX_LINES
    return once if rest <= 0 else (*once[:MAX_LINES], f"{rest} more files or names could not be used")


def shown(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(printable(name, 100) for name in names[:_SHOWN]) + _more(len(names) - _SHOWN)


def _more(count: int) -> str:
    return f", and {count} more" if count > 0 else ""


def _settled(sighting: Sighting, graph: Graph, lines: list[str]) -> list[_Seen]:
    """The one meaning of a sighting (of several, the one whose size fits), or a line why there is none."""
    meanings = frozenset(_of_bytes(meaning, sighting.stored, graph) for meaning in sighting.meanings)
    sighting = replace(sighting, meanings=meanings)
    if all(meaning.role == "input" for meaning in sighting.meanings):
        return _operand(sighting, graph)
    found: list[_Seen] = []
    errors: list[str] = []
    for meaning in sorted(sighting.meanings):
        try:
            found.append(_Seen(meaning, sighting, _fitted(sighting.stored, meaning.value, graph)))
        except ModelError as error:
            errors.append(str(error))
    if len({one.meaning.value for one in found}) > 1:
        fit = [one for one in found if not one.fitted.other]
        if len({one.meaning.value for one in fit}) != 1:
            names = sorted({one.meaning.value for one in found})
            lines.append(
                f"{sighting.stored.label}: could be any of {shown(names)}; "
                "name it in manifest.json (not used)"
            )
            return []
        found = fit
    if not found:
        lines.extend(errors[:1])
        return []
    outputs = [one for one in found if one.meaning.role == "output"]
    return (outputs or found)[:1]


def _of_bytes(meaning: Meaning, stored: Stored, graph: Graph) -> Meaning:
    """A quantised device keeps the bytes of a value that the file has as floats, between the two operators
    that quantise it: then it is the bytes' own value that was seen."""
    dtype = graph.value(meaning.value).dtype
    if dtype is None or "float" not in dtype or not stored.dtype.lstrip("u").startswith("int"):
        return meaning
    made = graph.producer.get(meaning.value)
    beside = [made.inputs[0]] if made is not None and made.type == "DequantizeLinear" else []
    readers = graph.consumers.get(meaning.value, ())
    beside += [op.outputs[0] for op in readers if op.type == "QuantizeLinear"]
    known = [
        name for name in beside if name in graph.quantised and graph.quantised[name].dtype == stored.dtype
    ]
    return replace(meaning, value=known[0]) if len(known) == 1 else meaning


_REGROUPS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators that move no number: a device may leave their result in the shape that it had before."""


def _fitted(stored: Stored, name: str, graph: Graph) -> Fitted:
    """The array as the value of that name. Raises ModelError as :func:`fitted` does."""
    found, producer = fitted(stored, graph.value(name)), graph.producer.get(name)
    if found.other and producer is not None and producer.type in _REGROUPS:
        return regrouped(found, graph.value(name))
    return found


def _operand(sighting: Sighting, graph: Graph) -> list[_Seen]:
    """What an operator read, where its size leaves no doubt which value that is. Nothing is missed without
    it: the value is there where it was written, or the operator is not judged by itself."""
    found = []
    for meaning in sorted(sighting.meanings):
        with suppress(ModelError):
            one = _Seen(meaning, sighting, _fitted(sighting.stored, meaning.value, graph))
            doubtful = without_ones(one.fitted.tensor.shape) in sighting.unlike
            found += [] if one.fitted.other or doubtful else [one]
    return found if len(found) == 1 else []


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape by its dimensions that are more than one.

    >>> without_ones((1, 8, 1, 1))
    (8,)
    """
    return tuple(dim for dim in shape if dim != 1)


def _without_doubt(seen: list[_Seen], lines: list[str]) -> list[_Seen]:
    """Without those that could have their channels last as well, where others of the dump are seen to."""
    if not any(one.fitted.turned and "NHWC to NCHW" in one.fitted.tensor.how for one in seen):
        return seen
    kept = []
    for one in seen:
        if not one.fitted.either:
            kept.append(one)
        elif one.meaning.role == "output":
            lines.append(
                f"{one.sighting.stored.label}: {shape_text(one.sighting.stored.shape)} can be NCHW or NHWC, "
                "and other tensors of the dump are NHWC; name its layout in manifest.json (not used)"
            )
    return kept


def _once(seen: list[_Seen], lines: list[str]) -> dict[str, _Seen]:
    """Each value that one file alone has, or several with the same numbers."""
    by_value: dict[str, list[_Seen]] = {}
    for one in seen:
        by_value.setdefault(one.meaning.value, []).append(one)
    kept = {}
    for value, several in by_value.items():
        if len(several) == 1 or all(_same(several[0], other) for other in several[1:]):
            kept[value] = several[0]
            continue
        labels = [one.sighting.stored.label for one in several]
        lines.append(
            f"{value}: {len(several)} files could be it ({shown(labels)}); keep one of them (not used)"
        )
    return kept


def _same(left: _Seen, right: _Seen) -> bool:
    """Whether two files hold the same numbers; a damaged one does not."""
    a, b = left.fitted.tensor, right.fitted.tensor
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    try:
        return np.array_equal(a.load(), b.load(), equal_nan=a.dtype.startswith(("float", "bfloat")))
    except ModelError:
        return False


def _first(seen: list[_Seen]) -> dict[str, _Seen]:
    """What operators were seen to read, once a value: each of its readers may have dumped it."""
    found: dict[str, _Seen] = {}
    for one in seen:
        found.setdefault(one.meaning.value, one)
    return found


def _others(seen: Iterable[_Seen]) -> list[str]:
    """The tensors that have another shape than the ONNX file declares."""
    return [
        f"{one.meaning.value}: the dump has {shape_text(one.fitted.tensor.shape)}, "
        f"the ONNX file has {one.fitted.other} there"
        for one in seen
        if one.fitted.other
    ]


def _operators(
    seen: Iterable[_Seen], outputs: Mapping[str, _Seen], graph: Graph, nodes: Mapping[str, frozenset[int]]
) -> tuple[DumpedOp, ...]:
    """The operators of the device, in the order of their nodes."""
    reads: dict[tuple[str, frozenset[int]], dict[str, DumpedTensor]] = {}
    writes: dict[tuple[str, frozenset[int]], dict[str, DumpedTensor]] = {}
    for one in seen:
        group = nodes.get(one.sighting.device) or (
            frozenset({one.meaning.op}) if one.meaning.op >= 0 else frozenset()
        )
        if not group:
            continue
        name = one.sighting.device or graph.op(min(group)).name
        table = reads if one.meaning.role == "input" else writes
        value = one.meaning.value
        if one.meaning.role == "input" or (value in outputs and outputs[value] is one):
            table.setdefault((name, group), {}).setdefault(value, one.fitted.tensor)
    every = sorted({*reads, *writes}, key=lambda key: (min(key[1]), key[0]))
    return tuple(DumpedOp(key[0], key[1], reads.get(key, {}), writes.get(key, {})) for key in every)

"""How is a changed copy of an ONNX file written? Beside its external data, and checked.

What the file says of the shapes behind a change is dropped, of its outputs too: a repair may change them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segdiff.core.answer import Cause
from segdiff.core.edit import apply, merged
from segdiff.core.errors import InputError, ModelError, RepairError
from segdiff.core.graph import Array
from segdiff.core.outlets import give_out, joined


def write(
    source: Path, draft: Path, causes: Sequence[Cause], finals: Sequence[Array] = ()
) -> tuple[str, ...]:
    """The file with the changes of these causes at ``draft``; returns remarks. Raises RepairError.

    ``finals`` are the reference's outputs, in the order that changed outputs have.
    """
    import onnx

    from segdiff.readers.onnx import load

    model = load(source)
    original = onnx.ModelProto()
    original.CopyFrom(model)
    edits = merged(edit for cause in causes for edit in cause.edits)
    ends = [cause.ends for cause in causes if cause.ends is not None]
    apply(model, edits)
    changed = behind(model.graph, {edit.place for edit in edits})
    if ends:
        names = [output.name for output in model.graph.output]
        outlets = joined(names, ends)
        try:
            give_out(model, outlets)
        except ModelError as error:
            raise RepairError(f"{source}: its outputs cannot be changed: {error}") from error
        changed |= {each.name for each in outlets.outputs if each.name != each.of or each.nodes}
        changed |= {each.name for each in outlets.outputs if each.value != each.of}
    forget_shapes(model.graph, changed)
    named = zip(model.graph.output, finals, strict=False) if ends else ()
    state_outputs(model, changed, {output.name: array.ndim for output, array in named})
    link_external_data(model, source, draft)
    draft.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(draft))
    except Exception as error:  # the checker raises half a dozen types
        words = " ".join(str(error).split())[:300]
        try:
            onnx.checker.check_model(original)
        except Exception:
            return (f"The ONNX checker objects to the candidate, and to the repaired file: {words}",)
        raise RepairError(f"{source}: the repaired model fails the ONNX checker: {words}") from error
    return ()


def behind(graph: Any, changed: Iterable[str]) -> set[str]:
    """The tensors behind those that a change writes, these too."""
    found = set(changed)
    for node in graph.node:  # in topological order
        if found.intersection(node.input) or found.intersection(node.output):
            found.update(node.output)
    return found


def forget_shapes(graph: Any, changed: set[str]) -> None:
    """Drop what the file says of the shapes of these tensors."""
    kept = [info for info in graph.value_info if info.name not in changed]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def state_outputs(model: Any, changed: set[str], ranks: Mapping[str, int]) -> None:
    """Type and shape of the outputs among these: as declared where that still holds, else as inferred;
    of a shape that nobody knows the ``ranks``, or the declared one's, the lengths left open."""
    import onnx

    lacking = [output for output in model.graph.output if output.name in changed]
    if not lacking:
        return
    declared = {}
    for output in lacking:
        declared[output.name] = onnx.TypeProto()
        declared[output.name].CopyFrom(output.type)
        output.ClearField("type")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        found = {output.name: output.type for output in inferred.graph.output}
    except Exception:  # a graph that inference does not understand still runs
        found = {}
    for output in lacking:
        old, new = declared[output.name], found.get(output.name)
        if new is not None and new.WhichOneof("value") and not _holds(old, new):
            output.type.CopyFrom(new)
        else:
            output.type.CopyFrom(old)
        rank = ranks.get(output.name, len(old.tensor_type.shape.dim))
        if not output.type.tensor_type.HasField("shape") and (rank or old.tensor_type.HasField("shape")):
            output.type.tensor_type.shape.SetInParent()
            output.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(rank))


def _holds(old: Any, new: Any) -> bool:
    """Whether a declared type is the inferred one, or says more."""
    if not old.HasField("tensor_type") or not new.HasField("tensor_type"):
        return bool(old.WhichOneof("value") == new.WhichOneof("value"))
    one, other = old.tensor_type, new.tensor_type
    if one.elem_type != other.elem_type:
        return False
    if not one.HasField("shape") or not other.HasField("shape"):
        return not one.HasField("shape")
    sizes = zip(one.shape.dim, other.shape.dim, strict=False)
    return len(one.shape.dim) == len(other.shape.dim) and all(
        not (a.HasField("dim_value") and b.HasField("dim_value")) or a.dim_value == b.dim_value
        for a, b in sizes
    )


def external_files(model: Any) -> list[str]:
    """The locations of a model's external data, relative to its folder."""
    found = dict.fromkeys(
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    )
    return list(found)


def link_external_data(model: Any, source: Path, draft: Path) -> None:
    """Put a model's external data beside its draft."""
    for location in external_files(model):
        beside = draft.parent / location
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.parent / location, beside)
        except OSError:  # another file system
            shutil.copyfile(source.parent / location, beside)


def move_external_data(source: Path, draft: Path, target: Path) -> None:
    """Put external data beside the repaired file; where it shares the candidate's folder it is there."""
    if target.parent.resolve() == source.parent.resolve():
        return
    for file in sorted(p for p in draft.parent.rglob("*") if p.is_file() and p != draft):
        place = target.parent / file.relative_to(draft.parent)
        if place.exists():
            raise InputError(
                f"{place}: is in the way of the model's external data; choose another folder for {target}"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, place)

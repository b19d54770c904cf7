"""How is a rewritten file written? A checked copy beside its external data, otherwise as it was."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx

from segdiff.core.errors import RepairError
from segdiff.finding.draft import link_external_data, move_external_data
from segdiff.half.remedies.rewriting import Rewrite, free, made
from segdiff.readers.onnx import load


def write_rewritten(source: Path, target: Path, rewrites: Iterable[Rewrite]) -> None:
    """Write ``source`` with these rewrites, which touch different nodes, to ``target``.

    Raises ModelError where the file cannot be read, RepairError where the copy does not pass ONNX's checker
    and the original does, InputError where external data is in the way.
    """
    chosen = list(rewrites)
    write_changed(source, target, lambda model: made(model, chosen))


def write_changed(source: Path, target: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    """Write ``source`` to ``target`` with its message changed; raises as :func:`write_rewritten` does."""
    model = load(source)
    change(model)
    forget_unwritten(model.graph)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".segdiff-") as folder:
        draft = Path(folder) / "model.onnx"
        link_external_data(model, source, draft)
        draft.write_bytes(model.SerializeToString())
        complaint = checked(draft)
        if complaint and not checked(source):
            raise RepairError(f"{source}: the changed model fails the ONNX checker: {complaint}")
        move_external_data(source, draft, target)
        draft.replace(target)


def checked(path: Path) -> str:
    """What ONNX's checker objects to in a file, in short; nothing where it passes."""
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:  # the checker raises half a dozen types
        return " ".join(str(error).split())[:300] or type(error).__name__
    return ""


def forget_unwritten(graph: Any) -> None:
    """Drop what a graph says of the shapes of values that it does not have any more."""
    there = {name for node in graph.node for name in node.output} | {item.name for item in graph.input}
    kept = [info for info in graph.value_info if info.name in there]
    if len(kept) < len(graph.value_info):
        del graph.value_info[:]
        graph.value_info.extend(kept)


def name_nodes(model: onnx.ModelProto) -> bool:
    """Give every node of the graph itself a name of its own, that of what it writes; whether one had none.

    Nodes that share a name with another get another one, too: a tool that is told a name finds one node.
    """
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.name] = counts.get(node.name, 0) + 1
    taken, changed = set(counts), False
    for node in model.graph.node:
        if node.name and counts[node.name] == 1:
            continue
        if node.op_type == "Constant":
            continue
        node.name = free(next((name for name in node.output if name), node.op_type), taken)
        taken.add(node.name)
        changed = True
    return changed

"""Where do the files of a remedy go? Into one folder, each under the name that its tool knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

from segdiff.core.errors import RepairError
from segdiff.half.read import File
from segdiff.half.remedies.lists import kept_nodes, lists
from segdiff.half.remedies.mixed import mixed
from segdiff.half.remedies.rewriting import Rewrite
from segdiff.half.remedies.written import checked, name_nodes, write_changed, write_rewritten
from segdiff.half.targets import How
from segdiff.readers.onnx import load

FIXED, NAMED, MIXED = "fixed.onnx", "named.onnx", "mixed.onnx"


def rewritten_file(source: Path, folder: Path, rewrites: Iterable[Rewrite]) -> Path:
    """Write ``fixed.onnx``: the file with its rewrites. Raises RepairError, InputError."""
    target = folder / FIXED
    write_rewritten(source, target, rewrites)
    return target


def kept_files(source: Path, folder: Path, names: frozenset[str], how: How) -> Mapping[str, Path]:
    """Write what keeps these nodes of a file in float32, in the words of the target, and as a mixed file.

    Where one of them has no name of its own, ``named.onnx`` is written as well, the same file with a name for
    every node: the lists are about that one. Raises RepairError where the mixed file is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    model = load(source)
    if not all_named(model, names):
        source, written = _named(source, folder, model)
        files["named"] = source
        model = load(source)
        names = frozenset(written.get(name, name) for name in names)
    nodes = kept_nodes(File(model, source), names)
    for option, (name, text) in lists(how.target, nodes, source.name, how.precision).items():
        files[option] = folder / name
        files[option].write_text(text, encoding="utf-8")
    if how.precision == "fp16":  # onnxruntime's CPU has no bfloat16, so such a file could not be tried
        files["onnx"] = folder / MIXED
        write_mixed(source, files["onnx"], names)
    return files


def write_mixed(source: Path, target: Path, keep: Iterable[str]) -> None:
    """Write a file in float16 with these nodes in float32. Raises RepairError where it fails the checker."""
    model = load(source)
    whole = not checked(source)
    made = mixed(model, keep, source)
    for tensor in made.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(source.parent))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    target.write_bytes(made.SerializeToString())
    complaint = checked(target)
    if complaint and whole:
        target.unlink()
        raise RepairError(f"{source}: the mixed file fails the ONNX checker: {complaint}")


def all_named(model: onnx.ModelProto, names: frozenset[str]) -> bool:
    """Whether each of these names is that of one node."""
    own = [node.name for node in model.graph.node]
    return all(own.count(name) == 1 for name in names)


def _named(source: Path, folder: Path, model: onnx.ModelProto) -> tuple[Path, dict[str, str]]:
    """The file with a name for every node, and what each node without one is called now."""
    target = folder / NAMED
    before = [node.name or next(iter(node.output), "") for node in model.graph.node]
    name_nodes(model)
    after = [node.name for node in model.graph.node]
    write_changed(source, target, lambda changed: _named_in_place(changed))
    return target, dict(zip(before, after, strict=True))


def _named_in_place(model: onnx.ModelProto) -> None:
    name_nodes(model)

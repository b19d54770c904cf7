"""Results without a header: ais_bench, the older ``benchmark``, QNN's ``qnn-net-run``, files by tensor name.

ais_bench counts outputs from 0 (``name_0.bin``), ``benchmark`` from 1; QNN names the tensor
(``Result_0/name.raw``). Shape and type are the ONNX file's, or a manifest's. A batch that was split into a
file an input is joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph, Value
from segdiff.readers.dumps.gather import Sighting, gathered, shown
from segdiff.readers.dumps.headerless import as_fed, static_shape, stored_type
from segdiff.readers.dumps.listing import Asked, Listing
from segdiff.readers.dumps.manifest import MAX_BYTES, Manifest, Named, as_said, read_json, read_manifest
from segdiff.readers.dumps.manifest import NAME as MANIFEST
from segdiff.readers.dumps.names import Meaning, Names
from segdiff.readers.dumps.stored import Stored, bytes_of, decoded, itemsize, numbers_in, stored_npy
from segdiff.readers.guard import guard

NAME = "results"
SUFFIXES = frozenset({".bin", ".raw", ".txt", ".npy"})

MAX_TEXT = 1 << 30
"""Bytes of numbers in text; some 60 million of them."""

_COUNTED = re.compile(r"(?P<stem>.+)_(?P<index>\d{1,4})", re.DOTALL)


@dataclass(frozen=True)
class _Result:
    """A file of one input (``stem``) and one output, counted as its writer counts."""

    file: Path
    label: str
    stem: str
    index: int


def recognised(listing: Listing, graph: Graph) -> bool:
    """Whether results lie there: bytes or text, or arrays that are counted and name no tensor."""
    suffixes = {file.suffix for file in listing.files}
    if suffixes & {".bin", ".raw"} or (".npy" in suffixes and _summaries(listing)):
        return True
    names = Names(graph)
    if not suffixes & {".npy", ".npz"}:
        texts = [file.stem for file in listing.files if file.suffix == ".txt"]
        return any(_COUNTED.fullmatch(stem) or names.meanings(stem) for stem in texts)
    if ".npz" in suffixes or MANIFEST in {file.name for file in listing.files}:
        return False
    stems = [file.stem for file in listing.files if file.suffix == ".npy"]
    return all(_COUNTED.fullmatch(stem) and not names.meanings(stem) for stem in stems)


def read(listing: Listing, graph: Graph, asked: Asked) -> Dump:
    """The dump; ModelError where no file of it is a tensor of the graph, or it holds several inputs."""
    problems = list(listing.problems)
    manifest = read_manifest(listing)
    problems += manifest.problems
    files = [file for file in listing.files if file.suffix in SUFFIXES]
    aside = len(listing.files) - len(files) - sum(file.suffix == ".json" for file in listing.files)
    if aside:
        problems.append(f"{aside} files are no results, they are not read")
    names = Names(graph)
    names = Names(graph, any(names.letters(file.stem) for file in files))
    named, counted = _sorted(listing, files, names, manifest)
    _one_result(listing, named)
    sightings = list(_named(listing, graph, named, manifest, asked.inputs, problems))
    wanted = [result for result in counted if result.stem == asked.sample] or counted
    sightings += _counted(listing, graph, wanted, asked, problems)
    left = set(files) - set(named) - {result.file for result in counted}
    problems += [f"{listing.name(file)}: names no tensor of {graph.path.name}" for file in sorted(left)]
    return gathered(listing.root, NAME, sightings, graph, {}, problems)


def _sorted(
    listing: Listing, files: Sequence[Path], names: Names, manifest: Manifest
) -> tuple[dict[Path, frozenset[Meaning]], list[_Result]]:
    """The files that name a tensor, and those that count the outputs. What ais_bench wrote is counted."""
    summarised = bool(_summaries(listing))
    named: dict[Path, frozenset[Meaning]] = {}
    counted = []
    for file in files:
        said = manifest.files.get(file, Named())
        match = _COUNTED.fullmatch(file.stem)
        meanings = names.meanings(said.tensor or file.stem)
        meanings = meanings or names.meanings(
            file.stem.lstrip("_")
        )  # QNN's, where a name begins with a digit
        if meanings and not (summarised and match and not said.tensor):
            named[file] = meanings
        elif match and file.suffix != ".raw":
            counted.append(_Result(file, listing.name(file), match["stem"], int(match["index"])))
    return named, counted


def _one_result(listing: Listing, named: Mapping[Path, frozenset[Meaning]]) -> None:
    """ModelError where QNN left the results of several inputs."""
    folders = sorted({file.parent.name for file in named if file.parent.name.startswith("Result_")})
    if len(folders) > 1:
        raise ModelError(
            f"{listing.root}: holds the results of {len(folders)} inputs ({shown(folders)}); "
            "give the folder of one"
        )


# --- by tensor name


def _named(
    listing: Listing,
    graph: Graph,
    named: Mapping[Path, frozenset[Meaning]],
    manifest: Manifest,
    inputs: Mapping[str, tuple[int, ...]],
    problems: list[str],
) -> Iterator[Sighting]:
    for file, meanings in named.items():
        said = manifest.files.get(file, Named())
        errors = []
        found = []
        for meaning in sorted(meanings):
            try:
                value = as_fed(graph.value(meaning.value), _size_of(file), inputs)
                stored = _stored(file, listing.name(file), value, said)
                found.append(Sighting(stored, frozenset({meaning})))
            except ModelError as error:
                errors.append(str(error))
        if len(found) == 1:
            yield found[0]
        elif found:
            names = shown([meaning.value for meaning in sorted(meanings)])
            problems.append(
                f"{listing.name(file)}: could be any of {names}; name it in manifest.json (not used)"
            )
        else:
            problems += errors[:1]


def _stored(file: Path, label: str, value: Value, said: Named) -> Stored:
    """A file as that value, or as the manifest has it. Raises ModelError where it cannot be."""
    if file.suffix == ".npy":
        return as_said(stored_npy(file, label), said)
    with guard(file, "the result"):
        layout, size = said.layout.upper(), file.stat().st_size
        shape = said.shape if said.shape is not None else _laid(static_shape(value, label), layout)
        if file.suffix == ".txt":
            return Stored(file, label, "float32", shape, partial(_text, file, label, shape), layout)
        dtype = said.dtype or stored_type(file, size, shape, value, label)
        if prod(shape) * itemsize(dtype, label) != size:
            raise ModelError(f"{label}: {size} bytes are not what the manifest says; mend the manifest")
        return Stored(file, label, dtype, shape, partial(_bytes, file, size, dtype, shape), layout)


def _size_of(file: Path) -> int:
    """The bytes of a file's numbers; of text those that they would have in float32."""
    size = file.stat().st_size
    if file.suffix != ".txt" or size > MAX_TEXT:
        return size
    return 4 * len(file.read_bytes().replace(b",", b" ").split())


def _laid(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The declared shape in the layout that a manifest names."""
    last = layout in ("NHWC", "NDHWC") and len(shape) == len(layout)
    return (shape[0], *shape[2:], shape[1]) if last else shape


def _bytes(file: Path, size: int, dtype: str, shape: tuple[int, ...]) -> Array:
    return decoded(bytes_of(file, 0, size), dtype, shape)


def _text(file: Path, label: str, shape: tuple[int, ...]) -> Array:
    with guard(file, "the numbers"):
        if file.stat().st_size > MAX_TEXT:
            raise ModelError(f"{label}: more than {MAX_TEXT} bytes of text; write it as bytes")
        return numbers_in(file.read_bytes().replace(b",", b" "), " ", label, shape)


# --- by count


def _counted(
    listing: Listing, graph: Graph, counted: Sequence[_Result], asked: Asked, problems: list[str]
) -> Iterator[Sighting]:
    if not counted:
        return
    first = 0 if any(result.index == 0 for result in counted) else 1
    outputs: dict[str, list[_Result]] = {}
    for result in counted:
        place = result.index - first
        if place < len(graph.outputs):
            outputs.setdefault(graph.outputs[place], []).append(result)
        else:
            problems.append(f"{result.label}: the ONNX file has {len(graph.outputs)} outputs")
    order = _order(listing, problems)
    for name, results in outputs.items():
        value = graph.value(name)
        try:
            if len(results) == 1:
                value = as_fed(value, _size_of(results[0].file), asked.inputs)
                stored = _stored(results[0].file, results[0].label, value, Named())
            else:
                stored = _joined(listing, value, _in_order(results, order))
            yield Sighting(stored, frozenset({Meaning(name)}))
        except ModelError as error:
            if len(results) > 1 and not _is_batch(value, len(results)):
                raise
            problems.append(str(error))


def _is_batch(value: Value, files: int) -> bool:
    return bool(value.shape) and value.shape is not None and value.shape[0] == files


def _joined(listing: Listing, value: Value, results: Sequence[_Result]) -> Stored:
    """The files of a batch as one tensor. Raises ModelError where they are those of several inputs."""
    if not _is_batch(value, len(results)) or value.shape is None:
        stems = [result.stem for result in results]
        raise ModelError(
            f"{listing.root}: holds the results of {len(stems)} inputs ({shown(stems)}); "
            "give the one of them as the image, or a folder with its results alone"
        )
    one = Value(value.name, (1, *value.shape[1:]), value.dtype)
    parts = [_stored(result.file, result.label, one, Named()) for result in results]
    if len({(part.dtype, prod(part.shape)) for part in parts}) > 1:
        raise ModelError(f"{results[0].label}: the files of the batch are of different sizes or types")
    shape = (len(parts), *_without_batch(parts[0], value))
    how = (f"a batch of {len(parts)} files",)
    return Stored(parts[0].file, parts[0].label, parts[0].dtype, shape, partial(_join, parts, shape), how=how)


def _without_batch(part: Stored, value: Value) -> tuple[int, ...]:
    """The shape of one of a batch, whether or not its file has the dimension of the batch."""
    rank = len(value.shape or ())
    return part.shape[1:] if len(part.shape) == rank else part.shape


def _join(parts: Sequence[Stored], shape: tuple[int, ...]) -> Array:
    return np.concatenate([part.read().reshape(1, *shape[1:]) for part in parts])


def _in_order(results: Sequence[_Result], order: Mapping[str, int]) -> list[_Result]:
    """The files of a batch in the order of its inputs: as the summary has them, else as names are counted."""
    if all(result.file.name in order for result in results):
        return sorted(results, key=lambda result: order[result.file.name])
    return sorted(results, key=lambda result: _natural(result.stem))


def _natural(text: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d{1,18})", text)]


def _order(listing: Listing, problems: list[str]) -> Mapping[str, int]:
    """File name -> place, as the summary lists the files of its inputs."""
    found: dict[str, int] = {}
    for file in _summaries(listing):
        try:
            content = read_json(file, MAX_BYTES)
        except ModelError as error:
            problems.append(str(error))
            continue
        infos = content.get("filesinfo") if isinstance(content, dict) else None
        for info in infos.values() if isinstance(infos, dict) else ():
            outfiles = info.get("outfiles") if isinstance(info, dict) else None
            for name in outfiles if isinstance(outfiles, list) else ():
                if isinstance(name, str):
                    found.setdefault(re.split(r"[/\\]", name)[-1], len(found))
    return found


def _summaries(listing: Listing) -> list[Path]:
    """ais_bench's own account of a run: beside its folder, or, of older releases, in it."""
    folder = listing.folder
    beside = folder.parent / f"{folder.name}_summary.json"
    inside = [file for file in listing.files if file.name.endswith(("_summary.json", "sumary.json"))]
    return inside + ([beside] if listing.root.is_dir() and beside.is_file() else [])

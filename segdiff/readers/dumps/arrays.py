"""A folder of ``.npy`` files, or an ``.npz``: one array a tensor, by the name of the ONNX tensor or node.

By hand, TensorRT's debug tensors, msprobe's ONNX side, Ascend dumps that msaccucmp converted.
"""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps.gather import Sighting, gathered
from segdiff.readers.dumps.listing import Asked, Listing
from segdiff.readers.dumps.manifest import Manifest, Named, as_said, read_manifest
from segdiff.readers.dumps.names import Meaning, Names
from segdiff.readers.dumps.stored import Stored, stored_npy, stored_npz

NAME = "npy"
SUFFIXES = (".npy", ".npz")


def recognised(listing: Listing, graph: Graph) -> bool:
    """Whether arrays of numpy lie there."""
    return any(file.suffix in SUFFIXES for file in listing.files)


def read(listing: Listing, graph: Graph, asked: Asked) -> Dump:
    """The dump; ModelError where no array of it is a tensor of the graph."""
    problems = list(listing.problems)
    manifest = read_manifest(listing)
    problems += manifest.problems
    arrays = list(_arrays(listing, manifest, problems))
    names = Names(graph)
    names = Names(graph, any(names.letters(name) for texts, _, _ in arrays for name in texts))
    sightings = []
    for texts, stored, said in arrays:
        meanings = _meanings(names, texts, said)
        if meanings:
            sightings.append(Sighting(stored, meanings))
        else:
            problems.append(f"{stored.label}: names no tensor or node of {graph.path.name}")
    return gathered(listing.root, NAME, sightings, graph, {}, problems)


def _arrays(
    listing: Listing, manifest: Manifest, problems: list[str]
) -> Iterator[tuple[tuple[str, ...], Stored, Named | None]]:
    """The names that each array may go by, the array, and what the manifest says of it."""
    for file in listing.files:
        label = listing.name(file)
        try:
            if file.suffix == ".npy":
                said = manifest.files.get(file)
                stored = stored_npy(file, label)
                stored = as_said(stored, said) if said else stored
                yield tuple(dict.fromkeys((label.removesuffix(".npy"), file.stem))), stored, said
            elif file.suffix == ".npz":
                for key, member in stored_npz(file):
                    if isinstance(member, ModelError):
                        problems.append(str(member))
                    else:
                        yield (key,), member, None
        except ModelError as error:
            problems.append(str(error))


def _meanings(names: Names, texts: tuple[str, ...], said: Named | None) -> frozenset[Meaning]:
    if said and said.tensor:
        return Names(names.graph, True).meanings(said.tensor)
    for name in texts:
        if name in names.known:
            return names.meanings(name)
    return frozenset(meaning for name in texts for meaning in names.meanings(name))

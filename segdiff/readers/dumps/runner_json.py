"""JSON of Polygraphy (``--save-outputs``) and trtexec (``--exportOutput``): results by tensor name.

The numbers stay in the file: what is read at once is the JSON around them, each array known by where it lies.
"""

from __future__ import annotations

import base64
import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph
from segdiff.readers.dumps.gather import Sighting, constants_told, gathered
from segdiff.readers.dumps.listing import Asked, Listing, printable
from segdiff.readers.dumps.names import Names
from segdiff.readers.dumps.stored import MAX_DIMS, Stored, npy_in, numbers_in, shape_text
from segdiff.readers.guard import guard

NAME = "json"

HEAD = 1 << 16
"""Bytes in which one of the two must show itself: the name of a runner, of a tensor, its dimensions."""

MAX_LIGHT = 16 << 20
"""Bytes of such a file beside its numbers, of which a tensor takes some 200."""

_POLYGRAPHY = re.compile(rb'^\s*\{\s*"(?:lst|polygraphy_class)"\s*:')
_TRTEXEC = re.compile(rb'^\s*\[\s*\{\s*"name"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*"dimensions"\s*:')
_BULK = re.compile(
    rb'"(?P<array>array)"\s*:\s*"(?P<text>[A-Za-z0-9+/=]*)"|"values"\s*:\s*\[(?P<numbers>[^\]\[{}"]*)\]'
)
_PLACE = "segdiff:"
"""What stands in the place of an array, with its number."""

_DIMENSIONS = re.compile(r"\d{1,12}(?:x\d{1,12})*")


@dataclass(frozen=True)
class _Stretch:
    """Where an array lies in the file."""

    start: int
    stop: int


def recognised(listing: Listing, graph: Graph) -> bool:
    """Whether a file of one of the two lies there."""
    return any(_kind(file) for file in listing.files)


def _kind(file: Path) -> str:
    if file.suffix.lower() != ".json":
        return ""
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return ""
    return "polygraphy" if _POLYGRAPHY.match(head) else "trtexec" if _TRTEXEC.match(head) else ""


def read(listing: Listing, graph: Graph, asked: Asked) -> Dump:
    """The dump; ModelError where no array of it is a tensor of the graph."""
    problems = list(listing.problems)
    found: list[tuple[str, Stored]] = []
    aside = 0
    for file in listing.files:
        kind = _kind(file)
        if not kind:
            aside += 1
            continue
        try:
            content, stretches = _light(file)
            arrays = _polygraphy if kind == "polygraphy" else _trtexec
            found += list(arrays(file, listing.name(file), content, stretches, problems))
        except ModelError as error:
            problems.append(str(error))
    if aside:
        problems.append(f"{aside} files beside the JSON are not read; give their folder by itself")
    names = Names(graph)
    names = replace(names, keeps=any(names.letters(name) for name, _ in found))
    sightings, constants = [], 0
    for name, stored in found:
        meanings = names.meanings(name)
        if meanings:
            sightings.append(Sighting(stored, meanings))
        elif names.constant(name):
            constants += 1
        else:
            problems.append(f"{stored.label}: names no tensor or node of {graph.path.name}")
    return gathered(listing.root, NAME, sightings, graph, {}, problems, constants_told(constants))


def _light(file: Path) -> tuple[Any, list[_Stretch]]:
    """The JSON with a word in the place of every array, and where the arrays are."""
    with guard(file, "the JSON"), file.open("rb") as stream:
        stretches: list[_Stretch] = []
        text = bytearray()
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            place = 0
            for match in _BULK.finditer(data):
                group = "text" if match["array"] else "numbers"
                text += data[place : match.start(group)]
                text += f"{'' if match['array'] else chr(34)}{_PLACE}{len(stretches)}".encode()
                text += b"" if match["array"] else b'"'
                stretches.append(_Stretch(*match.span(group)))
                place = match.end(group)
                if len(text) > MAX_LIGHT:
                    break
            if len(text) + len(data) - place > MAX_LIGHT:
                raise ModelError(f"{file}: more than {MAX_LIGHT} bytes of it are no numbers; write it again")
            text += data[place:]
        return json.loads(text), stretches


def _stretch(given: Any, stretches: list[_Stretch]) -> _Stretch | None:
    if isinstance(given, list) and len(given) == 1:  # the word stands in the place of the numbers
        (given,) = given
    if not isinstance(given, str) or not given.startswith(_PLACE):
        return None
    number = given.removeprefix(_PLACE)
    known = number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(stretches)
    return stretches[int(number)] if known else None


# --- Polygraphy


def _polygraphy(
    file: Path, label: str, content: Any, stretches: list[_Stretch], problems: list[str]
) -> Iterator[tuple[str, Stored]]:
    """``{"lst": [[runner, [{"outputs": {NAME: {"values": {"array": …}}}}]]]}``"""
    runners = content.get("lst") if isinstance(content, dict) else None
    for runner in runners if isinstance(runners, list) else ():
        iterations = runner[1] if isinstance(runner, list) and len(runner) == 2 else None
        for iteration in iterations if isinstance(iterations, list) else ():
            outputs = iteration.get("outputs") if isinstance(iteration, dict) else None
            for name, held in outputs.items() if isinstance(outputs, dict) else ():
                words = f"{label}: {printable(name)}"
                values = held.get("values", held) if isinstance(held, dict) else None
                place = _stretch(values.get("array") if isinstance(values, dict) else None, stretches)
                if place is None:
                    problems.append(f"{words}: is no array as Polygraphy writes it; save it again")
                    continue
                try:
                    yield name, _encoded(file, words, place)
                except ModelError as error:
                    problems.append(str(error))


def _encoded(file: Path, label: str, place: _Stretch) -> Stored:
    """An ``.npy`` in base64. Raises ModelError where it is damaged."""
    with guard(file, f"the array {label}"):
        length = place.stop - place.start
        with file.open("rb") as stream:
            stream.seek(place.start)
            head = base64.b64decode(stream.read(min(length, HEAD) // 4 * 4), validate=True)
            stream.seek(max(place.start, place.stop - 4))
            padding = stream.read(4).count(b"=")
        return npy_in(file, label, head, length // 4 * 3 - padding, partial(_decode, file, label, place))


def _decode(file: Path, label: str, place: _Stretch) -> bytes:
    with guard(file, f"the array {label}"), file.open("rb") as stream:
        stream.seek(place.start)
        return base64.b64decode(stream.read(place.stop - place.start), validate=True)


# --- trtexec


def _trtexec(
    file: Path, label: str, content: Any, stretches: list[_Stretch], problems: list[str]
) -> Iterator[tuple[str, Stored]]:
    """``[{"name": "y", "dimensions": "1x4x96x128", "values": […]}]``"""
    for entry in content if isinstance(content, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            problems.append(f"{label}: an entry without a name")
            continue
        words = f"{label}: {printable(name)}"
        place = _stretch(entry.get("values"), stretches)
        dimensions = entry.get("dimensions")
        known = isinstance(dimensions, str) and _DIMENSIONS.fullmatch(dimensions)
        if place is None or not (known or dimensions in ("", "scalar")):
            problems.append(f"{words}: is no tensor as trtexec writes it; export it again")
            continue
        shape = tuple(int(dim) for dim in dimensions.split("x")) if known else ()
        if len(shape) > MAX_DIMS or 2 * prod(shape) > place.stop - place.start + 1:
            problems.append(f"{words}: {shape_text(shape)[:100]} are more numbers than the file has")
            continue
        read_all = partial(_numbers, file, words, place, shape)
        yield name, Stored(file, words, "float32", shape, read_all, how=_digits(file, place))


def _numbers(file: Path, label: str, place: _Stretch, shape: tuple[int, ...]) -> Array:
    """Numbers in text. Raises ModelError where they are others than the shape says."""
    with guard(file, f"the numbers of {label}"), file.open("rb") as stream:
        stream.seek(place.start)
        return numbers_in(stream.read(place.stop - place.start), ",", label, shape)


def _digits(file: Path, place: _Stretch) -> tuple[str, ...]:
    """How many digits the numbers are written with, where that is fewer than float32 has."""
    with file.open("rb") as stream:
        stream.seek(place.start)
        sample = stream.read(min(HEAD, place.stop - place.start))
    broken = [match["digits"].replace(b".", b"").strip(b"0") for match in _BROKEN.finditer(sample)]
    most = max(map(len, broken), default=0)
    return (f"written with {most} digits",) if len(broken) >= ENOUGH and most < FLOAT_DIGITS else ()


_BROKEN = re.compile(rb"(?P<digits>\d*\.\d+)(?:[eE][+-]?\d+)?(?=[\s,])")
ENOUGH = 50
"""Numbers with a point from which their digits are counted: one in ten ends in a 0 and is shorter."""
FLOAT_DIGITS = 8
"""Digits from which the rounding of the text is below that of float32."""

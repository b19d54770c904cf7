"""What of an earlier run may be used again? Tensors in a folder, by what computed them, and never unpickled.

    DIR/segdiff-cache.json                what makes the folder a cache
    DIR/MODEL/engine.json                 what computed: Python, versions
    DIR/MODEL/INPUT/values.json           the names of a run's values in their order
    DIR/MODEL/INPUT/NAME.tensor           a header in JSON, the bytes as they are, lossless

The names of the folders are hashes (``identity``). A file is written beside its place and renamed, so that it
is whole or absent, and several processes need no lock: who writes the same key writes the same bytes. What is
read is checked against its sum; what is damaged is removed and computed anew.

No library does this: diskcache and joblib unpickle what they find, so that whoever can write to the folder
can run code; sqlite and HDF5 want a lock, and have no sums by default.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.errors import InputError
from segdiff.core.graph import Array
from segdiff.readers.dtypes import numpy_dtype

MARK = "segdiff-cache.json"
MARKED = {"segdiff cache": 1}

DEFAULT_SIZE = 16 << 30
"""Bytes that a cache may hold where nobody says."""

HEAD = struct.Struct("<8sI")
MAGIC = b"SEGDIFF1"
LONGEST_HEAD = 1 << 16
"""Bytes of a tensor's header; some hundred are usual."""

LONGEST_LIST = 1 << 26
"""Bytes of a list of names: 20,000 values have some 2 MB."""

BLOCK = 1 << 13
"""Words of eight bytes that are added up before the sums themselves are summed."""

LEFT_OVER = 3600.0
"""Seconds after which a file that was never renamed belongs to a process that is gone."""

NEW, GONE = ".new-", ".gone-"
"""How what is being written, and what is being removed, is called."""

TENSOR, LIST, ENGINE = ".tensor", "values.json", "engine.json"


@dataclass(frozen=True)
class Cache:
    """A folder, and the bytes that it may hold."""

    folder: Path
    limit: int = DEFAULT_SIZE


Room = Callable[[tuple[int, ...], Any], Array]
"""``room(shape, dtype)``: an array to read a tensor into."""


@dataclass(frozen=True)
class Held:
    """What a cache holds: models, inputs of them, tensors, bytes; seconds since 1970 of the last use of the
    input that is unused for longest (None where there is none)."""

    models: int
    inputs: int
    tensors: int
    bytes: int
    oldest: float | None


def opened(folder: str | Path, limit: int | None = None) -> Cache:
    """A cache in this folder, which is made where it is missing.

    Raises InputError where it is a folder of something else, or cannot be written.
    """
    place = Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not is_cache(place):
            if any(place.iterdir()):
                raise InputError(
                    f"{place}: holds other files and is no cache of segdiff's; name a new or empty folder"
                )
            written(place / MARK, json.dumps(MARKED).encode())
    except OSError as error:
        raise InputError(f"{place}: cannot be a cache: {error.strerror or error}") from error
    return Cache(place, DEFAULT_SIZE if limit is None else limit)


def is_cache(folder: Path) -> bool:
    """Whether a folder is a cache of segdiff's."""
    return bool(read_json(folder / MARK) == MARKED)


def existing(folder: str | Path) -> Path:
    """The folder of a cache. Raises InputError where it is none."""
    place = Path(folder).expanduser()
    if not is_cache(place):
        raise InputError(f"{place}: is no cache of segdiff's (it has no {MARK})")
    return place


def held(folder: str | Path) -> Held:
    """What a cache holds. Raises InputError where the folder is none."""
    place = existing(folder)
    inputs = list(_inputs(place))
    files = [file for each, _ in inputs for file in _files(each)]
    return Held(
        len({each.parent for each, _ in inputs}),
        len(inputs),
        sum(file.suffix == TENSOR for file in files),
        sum(map(_size, files)),
        min((used for _, used in inputs), default=None),
    )


def clear(folder: str | Path) -> Held:
    """Remove all that a cache holds, and say what that was. Raises InputError where the folder is none."""
    found, place = held(folder), existing(folder)
    for each in list(_folders(place)):
        _removed(place, each)
    _swept(place, 0.0)
    return found


@dataclass(frozen=True)
class Values:
    """The values of one model for one input.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     values = Values(opened(folder), "model", "input")
    ...     values.add("run", "conv_1", np.arange(3, dtype=np.float32))
    ...     values.load("run", "conv_1"), values.load("run", "conv_2")
    (array([0., 1., 2.], dtype=float32), None)
    """

    cache: Cache
    model: str
    input: str

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.cache.folder / self.model / self.input

    def add(self, kind: str, name: str, array: Array) -> None:
        """Keep a tensor; nothing where the disk is full or the tensor's type has no plain bytes."""
        array = np.asarray(array, order="C")
        if array.dtype.hasobject or array.dtype.names or array.nbytes > self.cache.limit:
            return
        flat = array.reshape(-1).view(np.uint8)
        words = {"name": name, "kind": kind, "dtype": array.dtype.name, "shape": list(array.shape)}
        head = json.dumps({**words, "sum": checksum(flat)}).encode()
        head += b" " * (
            -(HEAD.size + len(head)) % 64
        )  # so that the numbers begin at a multiple of their size
        with suppress(OSError):
            written(self._place(kind, name), HEAD.pack(MAGIC, len(head)), head, flat)

    def sizes(self, kind: str, names: Iterable[str]) -> dict[str, int]:
        """Bytes of the file of each of these names, 0 where there is none."""
        return {name: _size(self._place(kind, name)) for name in names}

    def load(self, kind: str, name: str, room: Room = np.empty) -> Array | None:
        """A tensor, in an array that ``room`` makes; None where it is missing, or damaged and so removed."""
        place = self._place(kind, name)
        try:
            with place.open("rb") as file:
                magic, length = HEAD.unpack(file.read(HEAD.size))
                if magic != MAGIC or length > LONGEST_HEAD:
                    raise ValueError
                head = json.loads(file.read(length))
                if (head["name"], head["kind"]) != (name, kind):
                    raise ValueError
                shape, dtype = tuple(int(each) for each in head["shape"]), numpy_dtype(str(head["dtype"]))
                if dtype.hasobject or any(each < 0 for each in shape):
                    raise ValueError
                nbytes = prod(shape) * dtype.itemsize
                if os.fstat(file.fileno()).st_size != HEAD.size + length + nbytes:
                    raise ValueError
                array = room(shape, dtype)
                flat = array.reshape(-1).view(np.uint8)
                if file.readinto(flat) != nbytes or checksum(flat) != head["sum"]:  # type: ignore[arg-type]
                    raise ValueError
            return array
        except FileNotFoundError:
            return None
        except Exception:  # whatever a damaged header may bring up
            with suppress(OSError):
                place.unlink()
            return None

    def listed(self) -> dict[str, Any]:
        """What is known of the runs, by their kind: the names in their ``order``, those that were ``absent``,
        those that ``repeats`` in a second run; the words by which it was ``refused``."""
        found = read_json(self.folder / LIST)
        plain = found if isinstance(found, dict) else {}
        listed: dict[str, Any] = {"order": {}, "absent": {}, "repeats": {}, "refused": {}}
        for key in listed:
            part = plain.get(key)
            for kind, entry in part.items() if isinstance(part, dict) else ():
                if key == "refused" and isinstance(entry, str):
                    listed[key][kind] = entry
                elif key != "refused" and isinstance(entry, list):
                    listed[key][kind] = [name for name in entry if isinstance(name, str)]
        return listed

    def note(self, kind: str, **more: Any) -> None:
        """Add to what is known of a run, and let go what was unused for longest where there is no room."""
        found = self.listed()
        for key, entry in more.items():
            found[key][kind] = merged(found[key].get(kind, ()), entry) if isinstance(entry, list) else entry
        with suppress(OSError):
            written(self.folder / LIST, json.dumps(found).encode())
        evict(self.cache)

    def used(self) -> None:
        """Say that these were needed now: they will go last."""
        with suppress(OSError):
            os.utime(self.folder)

    def forget(self) -> None:
        """Remove what is kept of this input."""
        _removed(self.cache.folder, self.folder)

    def _place(self, kind: str, name: str) -> Path:
        return self.folder / f"{identity(kind, name)}{TENSOR}"


def merged(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Two parts of one order, as one.

    >>> merged("ace", "abce"), merged("ad", "bcd")
    (['a', 'b', 'c', 'e'], ['b', 'c', 'a', 'd'])
    """
    known = list(old)
    place = {name: index for index, name in enumerate(known)}
    found: list[str] = []
    done = 0
    for name in new:
        if name not in place:
            found.append(name)
        elif place[name] >= done:
            found += known[done : place[name] + 1]
            done = place[name] + 1
    return list(dict.fromkeys([*found, *known[done:]]))


def evict(cache: Cache) -> None:
    """Remove the inputs that were not used for longest, until the rest fits."""
    _swept(cache.folder, LEFT_OVER)
    inputs = sorted(_inputs(cache.folder), key=lambda each: each[1])
    sizes = [sum(map(_size, _files(folder))) for folder, _ in inputs]
    excess = sum(sizes) - cache.limit
    for (folder, _), nbytes in zip(inputs, sizes, strict=True):
        if excess <= 0:
            return
        _removed(cache.folder, folder)
        excess -= nbytes


def identity(*parts: object) -> str:
    """A hash of some plain values, to name a file or a folder by."""
    return sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:32]


def checksum(flat: Array) -> int:
    """A sum over bytes that any change of some of them alters: of blocks of words by numpy, then their CRC.

    CRC-32 alone is four times as slow, and a hash ten times; nobody is to be kept from forging one.

    >>> checksum(np.zeros(9, np.uint8)) == checksum(np.array([0] * 8 + [1], np.uint8))
    False
    """
    whole = flat.size // 8 * 8
    words = flat[:whole].view(np.uint64) if flat.ctypes.data % 8 == 0 else flat[:whole].copy().view(np.uint64)
    even = words.size // BLOCK * BLOCK
    sums = words[:even].reshape(-1, BLOCK).sum(axis=1, dtype=np.uint64)
    rest = words[even:].sum(dtype=np.uint64)
    return zlib.crc32(flat[whole:].tobytes(), zlib.crc32(rest.tobytes(), zlib.crc32(sums.tobytes())))


def written(place: Path, *parts: Any) -> None:
    """Write a file whole or not at all, whoever else writes it. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=NEW, dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
        Path(name).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def read_json(path: Path) -> Any:
    """What a file of this folder says; None where it cannot be read."""
    try:
        if path.stat().st_size > LONGEST_LIST:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def engine_noted(cache: Cache, model: str) -> Mapping[str, Any] | None:
    """What computed a model's values; None where nothing of it is held."""
    found = read_json(cache.folder / model / ENGINE)
    return found if isinstance(found, dict) else None


def note_engine(cache: Cache, model: str, python: str, versions: Mapping[str, str]) -> None:
    """Write down what computes a model's values."""
    told = {"python": python, "versions": dict(versions)}
    with suppress(OSError):
        written(cache.folder / model / ENGINE, json.dumps(told).encode())


def _folders(place: Path) -> Iterator[Path]:
    """The models' folders: hashes, all of them, so that nothing else is ever touched."""
    with suppress(OSError):
        for each in sorted(place.iterdir()):
            if len(each.name) == 32 and not set(each.name) - set("0123456789abcdef") and each.is_dir():
                yield each


def _inputs(place: Path) -> Iterator[tuple[Path, float]]:
    """The folder of every input, and when it was last used."""
    for model in _folders(place):
        for folder in _folders(model):
            with suppress(OSError):
                yield folder, folder.stat().st_mtime


def _files(folder: Path) -> list[Path]:
    """The files of one input; what a process that is gone has left behind is removed."""
    found = []
    with suppress(OSError):
        for file in folder.iterdir():
            if file.name.startswith(NEW) and _age(file) > LEFT_OVER:
                with suppress(OSError):
                    file.unlink()
                continue
            found.append(file)
    return found


def _swept(place: Path, age: float) -> None:
    """Remove what a process that is gone was about to remove."""
    with suppress(OSError):
        for each in place.iterdir():
            if each.name.startswith(GONE) and _age(each) >= age:
                shutil.rmtree(each, ignore_errors=True)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return 0.0


def _removed(place: Path, folder: Path) -> None:
    """Remove a folder at once for everybody else, then what is in it; if it was the last, its model's."""
    with suppress(OSError):
        gone = Path(tempfile.mkdtemp(prefix=GONE, dir=place))
        folder.replace(gone / folder.name)
        shutil.rmtree(gone, ignore_errors=True)
        if folder.parent != place and not any(_folders(folder.parent)):
            _removed(place, folder.parent)

"""Which pairs of models are there? Those of a list, or those found below a folder; none is guessed.

In a folder an ONNX file belongs to the one Paddle model that lies beside it, or that has its stem; to that in
the folder of its own name beside it; or, where a folder has one such file alone, to the one model in the
folders below. Where two could be meant, the files are told and not compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from segdiff.core.errors import InputError
from segdiff.readers.registry import READERS, is_program, reader_for
from segdiff.readers.remote import is_url
from segdiff.readers.urls import fresh
from segdiff.score.fleet.labels import is_list, listed_in, matched

LISTS = (".yaml", ".yml", ".json")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
READY = (".npy", ".npz")
OLD_PROGRAM = "__model__"

MOST_BYTES = 64 << 20
"""Of a list: 100,000 pairs have some 20 MB."""

OPTIONS = (
    *("candidate_input", "cosine", "abs_error", "rel_l2", "deployed", "full_walk", "allow_nan", "memory"),
    *("timeout", "threads", "reference_python", "candidate_python", "cache", "cache_size"),
)
"""What a list may say of a pair, besides its files: the options of ``locate``."""

LABELLING = ("label_encoding", "num_classes", "ignore_index")
"""And what its labels mean: options of ``evaluate``."""

FIELDS = ("name", "reference", "candidate", "images", "image", "labels", "options")


@dataclass(frozen=True)
class Pair:
    """Two models and the images that they are compared on; or ``problem``, why they are not.

    ``name`` is what the table calls them: what the list says, or the path from the folder. ``labels`` are
    those of the images that have one.
    """

    name: str
    reference: str
    candidate: str
    images: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """All pairs, by their names, and the files that belong to none."""

    pairs: tuple[Pair, ...]
    left_over: tuple[str, ...] = ()


def pairs_of(
    source: str | Path | Sequence[Mapping[str, Any]],
    images: Sequence[str | Path] = (),
    labels: str | Path | None = None,
) -> Found:
    """The pairs of a folder, of a YAML or JSON list, or of the same list as Python has it.

    ``images`` are for every pair that names none: pictures, ready tensors, folders and lists of them; so is
    ``labels``, a folder of labels or the label of the one image. Raises InputError where there is no pair, a
    list makes no sense, two pairs have one name, or no image has a label.
    """
    given, known = several_in(map(str, images), None)
    if is_url(source):
        found = Found(tuple(listed(*read_elsewhere(str(source)))))
    elif not isinstance(source, str | Path):
        found = Found(tuple(listed(source, Path(), "the list")))
    elif Path(source).is_dir():
        found = found_below(Path(source))
    else:
        found = Found(tuple(listed(*read_list(Path(source)))))
    if not found.pairs:
        raise InputError(
            f"{source}: no pair of a Paddle model and the ONNX file that was made of it is there"
        )
    pairs = [each if each.images else replace(each, images=given, labels=known) for each in found.pairs]
    if labels is not None:
        pairs = with_labels(pairs, path_of(labels, None))
    return replace(found, pairs=tuple(sorted(map(checked, named(pairs)), key=lambda pair: pair.name)))


def with_labels(pairs: Sequence[Pair], labels: str) -> list[Pair]:
    """The pairs, those without labels of their own with the labels of their images. Raises InputError."""
    found = [pair if pair.labels else replace(pair, labels=matched(pair.images, labels)) for pair in pairs]
    if not any(pair.labels for pair in found):
        raise InputError(f"no label in {labels} has the name of an image")
    return found


def checked(pair: Pair) -> Pair:
    """A pair with its problem where it has no image."""
    if pair.images or pair.problem:
        return pair
    return replace(pair, problem="no image lies beside it; name some in the list, or with --images")


def named(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs, each by a name of its own. Raises InputError where two cannot be told apart."""
    names: dict[str, str] = {}
    for pair in pairs:
        name = pair.name
        if name in names:
            name = f"{name} {Path(pair.candidate).name}"
        if name in names:
            raise InputError(
                f"two pairs are called {name!r} ({names[name]} and {pair.candidate}); give each a name"
            )
        names[name] = pair.candidate
        yield replace(pair, name=name)


# --- a list


def read_list(path: Path) -> tuple[Any, Path, str]:
    """What a list says, the folder that its paths start from, and what to call it. Raises InputError."""
    if path.suffix.lower() not in LISTS:
        raise InputError(f"{path}: give a folder, or a list of pairs as .yaml or .json")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: is larger than any list of pairs ({MOST_BYTES >> 20} MB)")
        return yaml.safe_load(path.read_text(encoding="utf-8")), path.parent, str(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no YAML or JSON: {' '.join(str(error).split())[:200]}") from error


def read_elsewhere(url: str) -> tuple[Any, str, str]:
    """The same of a list at a URL, from which its paths start, too. Raises InputError."""
    holder, fetched = fresh()
    data, _, _ = read_list(fetched.file(url))
    holder.remove()
    return data, url.rpartition("/")[0], url


def listed(data: Any, folder: Path | str, what: str) -> Iterator[Pair]:
    """The pairs of a list, or of a mapping whose ``pairs`` they are; its ``images`` and ``options`` are for
    all of them. Raises InputError."""
    common = data if isinstance(data, Mapping) else {}
    rows = common.get("pairs") if common else data
    if isinstance(rows, str) or not isinstance(rows, Sequence) or not rows:
        raise InputError(f"{what}: is no list of pairs, each with 'reference' and 'candidate'")
    unknown = sorted(set(map(str, common)) - {"pairs", "images", "image", "labels", "options"})
    if unknown:
        raise InputError(f"{what}: {unknown[0]!r} is none of pairs, images, labels, options")
    for number, row in enumerate(rows, start=1):
        yield one_listed(row, common, folder, f"{what}, pair {number}")


def one_listed(row: Any, common: Mapping[str, Any], folder: Path | str, what: str) -> Pair:
    """One pair of a list. Raises InputError."""
    if not isinstance(row, Mapping):
        raise InputError(f"{what}: is no mapping with 'reference' and 'candidate'")
    unknown = sorted(set(map(str, row)) - set(FIELDS))
    if unknown:
        raise InputError(f"{what}: {unknown[0]!r} is none of {', '.join(FIELDS)}")
    missing = [name for name in ("reference", "candidate") if not row.get(name)]
    if missing:
        raise InputError(f"{what}: has no {missing[0]!r}")
    options = {**options_of(common, what), **options_of(row, what)}
    if "candidate_input" in options:
        options["candidate_input"] = script_of(str(options["candidate_input"]), folder)
    images, known = several_in(several(row, what) or several(common, what), folder)
    labels = row.get("labels") or common.get("labels")
    if labels is not None and not isinstance(labels, str | os.PathLike):
        raise InputError(f"{what}: labels are one path: a folder, or the label of the one image")
    if labels and images and not known:
        known = matched(images, path_of(str(labels), folder))
        if not known and row.get("labels"):
            raise InputError(f"{what}: no label in {labels} has the name of an image")
    return Pair(
        str(row.get("name") or row["reference"]),
        path_of(row["reference"], folder),
        path_of(row["candidate"], folder),
        images,
        options,
        labels=known,
    )


def several(row: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """What stands as ``images``, or ``image``: one or a list."""
    said = row.get("images", row.get("image")) or ()
    said = (said,) if isinstance(said, str | os.PathLike) else said
    if not isinstance(said, Sequence) or not all(isinstance(each, str | os.PathLike) for each in said):
        raise InputError(f"{what}: images are paths")
    return tuple(map(str, said))


def options_of(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The options of a pair, as Python writes them. Raises InputError for one that there is not."""
    said = row.get("options") or {}
    if not isinstance(said, Mapping):
        raise InputError(f"{what}: options are a mapping from names to values")
    found = {str(name).replace("-", "_"): value for name, value in said.items()}
    for name in found:
        if name not in OPTIONS + LABELLING:
            every = ", ".join(OPTIONS + LABELLING)
            raise InputError(f"{what}: there is no option {name!r}; there are {every}")
    return found


def script_of(said: str, folder: Path | str) -> str:
    """A candidate input, its file by its whole path: another worker stands in another folder."""
    script, colon, function = said.rpartition(":")
    place = Path(folder, script if colon else said)
    if not place.is_file():
        return said
    return f"{place.absolute()}{colon}{function}" if colon else str(place.absolute())


def path_of(said: str | Path, folder: Path | str | None) -> str:
    """A whole path, by which every worker finds the file, or a whole URL."""
    text = os.fspath(said)
    if is_url(text):
        return text
    if is_url(folder) and not Path(text).is_absolute():
        return f"{folder}/{text}"
    return os.path.normpath(Path(folder or Path(), text).absolute())


def several_in(paths: Iterable[str], folder: Path | str | None) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The images that some paths stand for, and the labels that lists name. Raises InputError."""
    images: list[str] = []
    labels: dict[str, str] = {}
    for path in (path_of(each, folder) for each in paths):
        rows = listed_in(path) if is_list(path) else [(image, None) for image in images_in(path)]
        images += [image for image, _ in rows]
        labels |= {image: label for image, label in rows if label}
    return tuple(dict.fromkeys(images)), labels


def images_in(path: str) -> tuple[str, ...]:
    """The pictures and ready tensors of a folder, by their names; any other path is itself an image."""
    if is_url(path) or not Path(path).is_dir():
        return (path,)
    files = sorted(file for file in Path(path).iterdir() if file.suffix.lower() in PICTURES + READY)
    if not files:
        raise InputError(f"{path}: no picture and no ready tensor is in this folder")
    return tuple(map(str, files))


# --- a folder


@dataclass
class Shelf:
    """One folder: its Paddle programs, its ONNX files that belong to nothing yet, and its images."""

    path: Path
    paddle: list[Path]
    onnx: list[Path]
    images: tuple[str, ...]


def found_below(root: Path) -> Found:
    """The pairs below a folder, and what is left over."""
    root = Path(os.path.normpath(root.absolute()))
    shelves = {shelf.path: shelf for shelf in shelves_below(root)}
    taken: dict[Path, list[Path]] = {}
    for rule in (by_stem, beside, by_folder_name, only_ones):
        for shelf in shelves.values():
            for program, onnx in rule(shelf, shelves, set(taken)):
                taken.setdefault(program, []).append(onnx)
                shelf.onnx = [file for file in shelf.onnx if file != onnx]
    pairs = [pair_in(root, shelves, program, files[0]) for program, files in taken.items()]
    not_clear = list(unclear(root, shelves, set(taken)))
    pairs += not_clear
    told = {Path(pair.candidate).parent for pair in not_clear}
    left = [
        str(file.relative_to(root))
        for shelf in shelves.values()
        for file in (*(p for p in shelf.paddle if p not in taken), *shelf.onnx)
        if file.parent not in told
    ]
    return Found(tuple(pairs), tuple(sorted(left)))


def shelves_below(root: Path) -> Iterator[Shelf]:
    """Every folder below one that holds a model or an image; what is hidden is passed over."""
    for above, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = [Path(above, name) for name in sorted(names) if not name.startswith(".")]
        images = tuple(str(file) for file in files if file.suffix.lower() in PICTURES)
        images = images or tuple(str(file) for file in files if file.suffix.lower() in READY)
        onnx = [file for file in files if file.suffix == reader_for("onnx").suffix]
        paddle = [file for file in files if is_paddle(file)]
        if paddle or onnx or images:
            yield Shelf(Path(above), paddle, onnx, images)


def is_paddle(file: Path) -> bool:
    """Whether a file is a program of Paddle's, by its name and first bytes."""
    try:
        return file.name == OLD_PROGRAM or any(
            is_program(file, row) for row in READERS if not row.carries_parameters
        )
    except OSError:
        return False


Chosen = Iterator[tuple[Path, Path]]


def by_stem(shelf: Shelf, shelves: Mapping[Path, Shelf], taken: set[Path]) -> Chosen:
    """Files of one folder that share a stem, where it has several models or several ONNX files."""
    stems: dict[str, list[Path]] = {}
    for program in shelf.paddle:
        stems.setdefault(program.stem, []).append(program)
    for onnx in shelf.onnx:
        if len(stems.get(onnx.stem, ())) == 1:
            yield stems[onnx.stem][0], onnx


def beside(shelf: Shelf, shelves: Mapping[Path, Shelf], taken: set[Path]) -> Chosen:
    """The one model and the one ONNX file of a folder."""
    if len(shelf.paddle) == 1 and len(shelf.onnx) == 1 and shelf.paddle[0] not in taken:
        yield shelf.paddle[0], shelf.onnx[0]


def by_folder_name(shelf: Shelf, shelves: Mapping[Path, Shelf], taken: set[Path]) -> Chosen:
    """An ONNX file and the one model in the folder of its name, beside it."""
    for onnx in shelf.onnx:
        own = shelves.get(onnx.with_suffix(""))
        if own is not None and len(own.paddle) == 1 and own.paddle[0] not in taken:
            yield own.paddle[0], onnx


def only_ones(shelf: Shelf, shelves: Mapping[Path, Shelf], taken: set[Path]) -> Chosen:
    """The one ONNX file of a folder without a model, and the one model in the folders right below it."""
    below = [
        program
        for path, other in shelves.items()
        if path.parent == shelf.path
        for program in other.paddle
        if program not in taken
    ]
    if not shelf.paddle and len(shelf.onnx) == 1 and len(below) == 1:
        yield below[0], shelf.onnx[0]


def unclear(root: Path, shelves: Mapping[Path, Shelf], taken: set[Path]) -> Iterator[Pair]:
    """A row for each folder in which models and ONNX files are left and could be paired in several ways."""
    for shelf in shelves.values():
        programs = [program for program in shelf.paddle if program not in taken]
        if not shelf.onnx or not programs:
            continue
        told = f"{names_of(programs)} and {names_of(shelf.onnx)}"
        yield Pair(
            str(shelf.path.relative_to(root)) if shelf.path != root else root.name,
            str(programs[0]),
            str(shelf.onnx[0]),
            problem=f"it is not clear which belong together: {told}; say it in a list",
        )


def names_of(files: Sequence[Path]) -> str:
    """Up to four names."""
    more = f" and {len(files) - 4} more" if len(files) > 4 else ""
    return ", ".join(file.name for file in files[:4]) + more


def pair_in(root: Path, shelves: Mapping[Path, Shelf], program: Path, onnx: Path) -> Pair:
    """A pair that was found, with the images beside it."""
    folder = program.parent if len(shelves[program.parent].paddle) == 1 else program.with_suffix("")
    place = folder if onnx.parent == program.parent else onnx.with_suffix("")
    name = str(place.relative_to(root)) if place != root else root.name
    own = shelves[program.parent].images or shelves[onnx.parent].images
    return Pair(name, str(program), str(onnx), own)

"""Which images, and which label belongs to each? PaddleSeg's file list, a folder or two, or one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_file, one_line
from segdiff.score.files import list_masks

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
LISTS = frozenset({".txt", ".lst", ".list", ".csv"})
CONFIGS = frozenset({".yml", ".yaml"})
OTHER_PICTURES = frozenset({".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".heic", ".heif", ".avif", ".svg"})
"""Pictures that a folder may hold and segdiff leaves alone."""

TAB = "\t"

LONGEST_LINE = 8192
"""Characters: two paths as long as Linux has them. In a longer line nobody looks for names with spaces."""

LIST_LIMIT = 1 << 28
"""Bytes of a file list: a million images have some 100 MB."""


@dataclass(frozen=True)
class Entry:
    """One image by the name that the data set gives it, and its label if there is one."""

    name: str
    image: Path
    label: Path | None
    problem: str | None = None
    """Why the line that names it cannot be read."""


def read_dataset(
    dataset: str | Path,
    *,
    labels: str | Path | None = None,
    root: str | Path | None = None,
    separator: str = " ",
) -> tuple[Entry, ...]:
    """The images of a file list (``image label`` or ``image`` a line), of a folder, or one image.

    ``labels`` is the folder of the labels, whose names are those of the images but for the suffix; ``root``
    the folder that a list's paths start from, by default the list's own. A file that a list names need not
    exist, and a line need not make sense: that shows when the entry is read. Raises InputError where the list
    or a folder cannot be read, or is empty, or no line of it makes sense.
    """
    path = Path(dataset)
    if path.is_dir():
        return _from_folder(path, labels)
    if path.suffix.lower() in LISTS:
        if labels is not None:
            raise InputError(f"{path} is a list and names its own labels; leave out the folder of labels.")
        return _from_list(path, Path(root) if root is not None else path.parent, separator)
    if path.suffix.lower() in CONFIGS:
        raise InputError(
            f"{path} is a config, not a data set: give a list with 'image label' a line, a folder of "
            "images, or one image. A training config names its list as val_path of val_dataset, and as "
            "dataset_root the folder where the list's paths start (--root)."
        )
    check_file(path, "image")
    label = Path(labels) if labels is not None else None
    if label is not None and label.is_dir():
        label = _label_of(path.stem, list_masks(label), label)
    return (Entry(path.name, path, label),)


def _from_folder(folder: Path, labels: str | Path | None) -> tuple[Entry, ...]:
    images = list_masks(folder, PICTURES)
    if labels is None:
        return tuple(Entry(name, image, None) for name, image in images.items())
    found = list_masks(labels)
    entries = [Entry(name, image, _label_of(name, found, Path(labels))) for name, image in images.items()]
    if not any(entry.name in found for entry in entries):
        raise InputError(
            f"No label in {labels} has the name of an image in {folder} "
            f"(there is {next(iter(found))!r}, and {entries[0].name!r})."
        )
    return tuple(entries)


def passed_over(dataset: str | Path, labels: str | Path | None, entries: Sequence[Entry]) -> tuple[str, ...]:
    """A sentence that counts what a folder of images, and that of its labels, hold beside ``entries``.

    None where every picture and label is used, and for a list or one image.
    """
    folder = Path(dataset)
    if not folder.is_dir():
        return ()
    counts = Counter(_unread(folder))
    if labels is not None and Path(labels).is_dir():
        used = {entry.label for entry in entries}
        counts["label without an image"] = sum(path not in used for path in list_masks(labels).values())
    told = [_counted(count, what) for what, count in sorted(counts.items()) if count]
    return (f"Passed over in {folder}: {', '.join(told)}.",) if told else ()


def _unread(folder: Path) -> Iterator[str]:
    """What each picture of a folder is that is no entry."""
    for path in folder.rglob("*"):
        suffix = path.suffix.lower()
        if suffix in PICTURES | OTHER_PICTURES and path.is_symlink() and not path.exists():
            yield "link to a file that does not exist"
        elif suffix in OTHER_PICTURES and path.is_file():
            yield f"{suffix[1:].upper()} file"


def _counted(count: int, what: str) -> str:
    """``1 GIF file``, ``2 GIF files``."""
    first, _, rest = what.partition(" ")
    many = {"link": f"links {rest}", "label": f"labels {rest}"}.get(first, f"{what}s")
    return f"{count} {what if count == 1 else many}"


def _label_of(name: str, found: Mapping[str, Path], folder: Path) -> Path:
    """The label of an image; where there is none, a path that tells why when it is read."""
    lossy = (folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".JPG", ".JPEG"))
    return found.get(name) or next((path for path in lossy if path.is_file()), folder / f"{name}.png")


def _from_list(path: Path, root: Path, separator: str) -> tuple[Entry, ...]:
    check_file(path, "list")
    if path.stat().st_size > LIST_LIMIT:
        raise InputError(f"{path} is larger than any list of images ({LIST_LIMIT >> 20} MB).")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no list of images in UTF-8: {one_line(error)}.") from error
    entries = [
        _entry(path, number, line.strip(), root, separator)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not entries:
        raise InputError(f"The list {path} names no image.")
    if entries[0].problem and all(entry.problem for entry in entries):
        raise InputError(entries[0].problem)
    return tuple(entries)


def _entry(path: Path, number: int, line: str, root: Path, separator: str) -> Entry:
    words = _words(line, root, separator)
    if len(words) > 2 or not all(words) or "\0" in line:
        problem = (
            f"{path}, line {number}: expected 'image label', found {len(words)} words. Where names have "
            "spaces, put another separator between image and label, and say so (--separator)."
        )
        return Entry(line, root, None, problem)
    label = root / words[1] if len(words) == 2 else None
    return Entry(words[0], root / words[0], label)


def _words(line: str, root: Path, separator: str) -> Sequence[str]:
    """Image and label. A space may be any white space; in names it is found by the files that exist."""
    if separator != " ":
        return [word.strip() for word in line.split(TAB if separator == r"\t" else separator)]
    words = line.split()
    if len(words) <= 2 or len(line) > LONGEST_LINE:
        return words
    places = [place for place, letter in enumerate(line) if letter.isspace()]
    for place in places:
        parts = [line[:place].strip(), line[place:].strip()]
        if all(_is_file(root / part) for part in parts):
            return parts
    return [line] if _is_file(root / line) else words


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a NUL
        return False

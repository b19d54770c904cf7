"""Which files are of one image? Their names, ais_bench's account of a run, the endings that data sets add.

Names that are equal as they stand come first. Only where no image is in all folders are they shortened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from segdiff.core.errors import InputError
from segdiff.score.folder import Folder
from segdiff.score.results import SUFFIXES

ENDINGS = ("_leftImg8bit", "_gtFine_labelIds", "_gtFine_labelTrainIds", "_gtFine_color", "_gtFine")
"""What Cityscapes adds to the name of an image, and of its label."""

NUMBERED = re.compile(r"(.+)_(\d{1,4})$")
"""A result's name: the image's, and the number of the output."""

MOST_SUMMARY = 1 << 27
"""Bytes of an account of a run: a line of some 300 bytes for each of 200,000 images is half of it."""


def named_results(folder: Path, files: Mapping[str, Path], output: int | None) -> dict[str, Path]:
    """A device's results by the image that each is of, where the account of the run tells; else as they are.

    ``output`` is which output is the mask. Raises InputError where an image has several and none was said.
    """
    images = _images(folder)
    known = {key: images[path.name] for key, path in files.items() if path.name in images}
    if not known:
        return dict(files)
    return _one_output(
        {key: (known.get(key, key), _number(path)) for key, path in files.items()}, files, output
    )


def _number(path: Path) -> int | None:
    found = NUMBERED.match(path.stem)
    return int(found[2]) if found else None


def _one_output(
    names: Mapping[str, tuple[str, int | None]], files: Mapping[str, Path], output: int | None
) -> dict[str, Path]:
    """One file an image: the output that was asked for, or the only one."""
    found: dict[str, dict[int | None, Path]] = {}
    for key, (name, number) in names.items():
        found.setdefault(name, {})[number] = files[key]
    chosen: dict[str, Path] = {}
    for name, outputs in found.items():
        if output is not None and output in outputs:
            chosen[name] = outputs[output]
        elif len(outputs) == 1 and output is None:
            chosen[name] = next(iter(outputs.values()))
        elif output is None:
            numbers = ", ".join(str(number) for number in sorted(n for n in outputs if n is not None))
            first = next(iter(outputs.values()))
            raise InputError(
                f"{first.parent} has several outputs of {name!r} ({numbers}); --output-index says which is "
                "the mask."
            )
    if not chosen:
        raise InputError(f"No result is of output {output}; the files end in the number of their output.")
    return chosen


def _images(folder: Path) -> dict[str, str]:
    """A result's file name to its image's, as ais_bench writes it down beside the folder, or in it."""
    found: dict[str, str] = {}
    for path in _summaries(folder):
        try:
            if path.stat().st_size > MOST_SUMMARY:
                continue
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # an account that is damaged is none; the names may do without
        infos = data.get("filesinfo") if isinstance(data, dict) else None
        for info in infos.values() if isinstance(infos, dict) else ():
            found.update(_of_one(info))
    return found


def _of_one(info: object) -> dict[str, str]:
    """The results of one run: of its first input."""
    if not isinstance(info, dict):
        return {}
    inputs, outputs = info.get("infiles"), info.get("outfiles")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        return {}
    first = next((name for name in _flat(inputs) if isinstance(name, str)), None)
    if first is None:
        return {}
    image = _base(first).partition(".")[0]
    return {_base(name): image for name in _flat(outputs) if isinstance(name, str)}


def _flat(names: Sequence[object]) -> list[object]:
    return [one for name in names for one in (name if isinstance(name, list) else [name])]


def _base(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _summaries(folder: Path) -> list[Path]:
    try:
        beside = [folder.resolve().parent / f"{folder.resolve().name}_summary.json"]
        inside = sorted(p for p in folder.rglob("*.json") if p.name.endswith(("summary.json", "sumary.json")))
    except OSError:
        return []
    return [path for path in (*beside, *inside) if path.is_file()]


def matched(folders: Sequence[Folder], output: int | None) -> tuple[tuple[Folder, ...], str | None]:
    """The folders with names under which images are in all of them, and what was done to the names.

    As they are where that will do. Raises InputError where a device's results have several outputs an image
    and ``output`` does not say which.
    """
    if _shared(folders):
        return tuple(folders), None
    short = tuple(_renamed(folder, output) for folder in folders)
    if not _shared(short):
        return tuple(folders), None
    one = next(iter(_shared(short)))
    files = ", ".join(folder.files[one].name for folder in short)
    return (
        short,
        f"Files were matched by the image's name alone, without folders and endings: {files} are one.",
    )


def _shared(folders: Sequence[Folder]) -> list[str]:
    first, *others = folders
    return [name for name in first.files if all(name in other.files for other in others)]


def _renamed(folder: Folder, output: int | None) -> Folder:
    """The folder with short names; as it is where two files would have the same."""
    names = {key: (short(key), None) for key in folder.files}
    results = all(path.suffix.lower() in SUFFIXES for path in folder.files.values())
    numbers = {key: NUMBERED.match(PurePosixPath(key).name) for key in folder.files}
    if results and all(numbers.values()):
        split = {key: (short(found[1]), int(found[2])) for key, found in numbers.items() if found}
        return replace(folder, files=_one_output(split, folder.files, output))
    if len(set(names.values())) < len(names):
        return folder
    return replace(folder, files={names[key][0]: path for key, path in folder.files.items()})


def short(key: str) -> str:
    """The image's name alone: without folders, what follows a dot, and what a data set adds."""
    name = key.rpartition("/")[2].partition(".")[0]
    ending = next((each for each in ENDINGS if name.endswith(each)), "")
    return name.removesuffix(ending) or name

"""What are the classes called? Names from Python, a file, or the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_file

Names = str | Path | Sequence[str]


def class_names(names: Names | None, classes: int) -> tuple[str, ...]:
    """One name a class; its number where none is given.

    ``names`` is a sequence, ``a,b,c``, or a text file with a name a line. Raises InputError where there are
    more names than classes.
    """
    given = _given(names)
    if len(given) > classes:
        raise InputError(f"There are {len(given)} names for {classes} classes: {', '.join(given[:8])}.")
    return (*given, *(str(number) for number in range(len(given), classes)))


def _given(names: Names | None) -> list[str]:
    if names is None:
        return []
    if not isinstance(names, str | Path):
        return [str(name) for name in names]
    if "," in str(names) and not Path(names).is_file():
        return [name.strip() for name in str(names).split(",")]
    lines = (
        check_file(names, "file of class names").read_text(encoding="utf-8", errors="replace").splitlines()
    )
    return [line.strip() for line in lines if line.strip()]

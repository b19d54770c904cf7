"""Which command asks the same again? Its words, as one would type them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any


def asked(command: str, files: Sequence[Any], options: Mapping[str, tuple[Any, Any]]) -> tuple[str, ...]:
    """The words of a command: its files, and each option whose value is not its default.

    ``options`` gives value and default by the option's name. Nothing where a value cannot be typed: an array,
    a function, a list of names.

    >>> asked("evaluate", ["deploy", "model.onnx", "val.txt"], {"--root": (None, None), "--worst": (3, 8)})
    ('segdiff', 'evaluate', 'deploy', 'model.onnx', 'val.txt', '--worst', '3')
    """
    given = {name: value for name, (value, default) in options.items() if value != default}
    values = (*files, *given.values())
    if not all(value is None or isinstance(value, str | os.PathLike | int | float) for value in values):
        return ()
    told = (word for name, value in given.items() for word in (name, "none" if value is None else str(value)))
    return ("segdiff", command, *map(str, files), *told)

"""Which command asks the same again? Its words, as one would type them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from segdiff.inputs.fed import CandidateInput


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


def told_input(candidate_input: CandidateInput | None) -> str | None:
    """What the candidate is fed by, as a word; None where it is fed like the reference."""
    if candidate_input is None or isinstance(candidate_input, str):
        return candidate_input
    return getattr(candidate_input, "__qualname__", type(candidate_input).__name__)

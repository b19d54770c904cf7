"""How is an output told of: its place, its form, and where it comes from?"""

from __future__ import annotations

from segdiff.core.graph import Array
from segdiff.walk import Run

FEW = 4
"""Elements that are told one by one."""


def nth(place: int) -> str:
    """A place in words."""
    words = ("first", "second", "third")
    return words[place] if place < len(words) else f"{place + 1}th"


def described(array: Array) -> str:
    """Shape and type in words, and of a few numbers what they are."""
    numbers = f" {array.reshape(-1).tolist()}" if 0 < array.size <= FEW else ""
    return f"{array.dtype}{numbers} of shape {tuple(array.shape)}"


def source_of(run: Run, values: tuple[str, str]) -> str:
    """Where an output comes from that no operator of the walk is to blame for."""
    ours, theirs = run.alignment.reference.graph, run.alignment.candidate.graph
    name, words = values[1], []
    if name in theirs.parameters:
        words.append("the candidate's is a constant of the file")
    elif name in theirs.inputs:
        words.append(f"the candidate hands its input {name!r} on")
    elif name in theirs.producer:
        words.append(f"the candidate's is {name!r}, which its {theirs.producer[name].type} makes")
    else:
        words.append("nothing computes it")
    if values[0] in ours.inputs:
        words.append(f"the reference hands its input {values[0]!r} on")
    return ", and ".join(words)

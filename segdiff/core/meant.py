"""Which name was meant? The nearest of those there are, for the message that says there is no such one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from segdiff.core.printable import clean

MOST = 3
"""Names that are offered: more are a list to read, and no help."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """What to say behind "there is no ...": the nearest names, or nothing where none is near.

    >>> did_you_mean("Resize.0", ["p2o.Resize.0", "p2o.Conv.0", "x"])
    "; did you mean 'p2o.Resize.0'?"
    >>> did_you_mean("logits", ["x"])
    ''
    """
    lower = {each.lower(): each for each in names}
    ending = [each for key, each in lower.items() if key.endswith(name.lower())]
    near = [lower[key] for key in get_close_matches(name.lower(), lower, n=MOST)]
    found = list(dict.fromkeys([*ending, *near]))[:MOST]
    if not found:
        return ""
    told = [repr(clean(each, 120)) for each in found]
    return f"; did you mean {' or '.join(filter(None, [', '.join(told[:-1]), told[-1]]))}?"

"""Which models run as deployed? What a user asks for, in one of three words."""

from __future__ import annotations

from typing import Literal, get_args

from segdiff.core.errors import InputError

Legs = Literal["usual", "all", "none"]
"""``usual``: the candidate, and a reference whose optimiser has ever been found at fault; ``all``: both."""


def legs_of(asked: bool | str) -> Legs:
    """What ``deployed=`` means: True is ``all`` and False ``none``. Raises InputError for another word.

    >>> legs_of(True), legs_of(False), legs_of("usual")
    ('all', 'none', 'usual')
    """
    for legs in get_args(Legs):
        if asked == legs:
            return legs  # type: ignore[no-any-return]
    if isinstance(asked, bool):
        return "all" if asked else "none"
    raise InputError(f"deployed is one of {', '.join(get_args(Legs))}, True or False; got {asked!r}")

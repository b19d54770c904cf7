"""Where does a fault lie that is in no graph's own nodes? In the block of an op."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InsideOf:
    """The block of an op in which something lies.

    ``node`` and ``op_type`` of the op, ``block`` the block's word in its file (``then_branch``, ``body``),
    the ``iteration`` of a loop, counted from one, where it begins.
    """

    node: str
    op_type: str
    block: str
    iteration: int | None = None

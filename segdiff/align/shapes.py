"""Can two declared shapes be one?"""

from __future__ import annotations

from segdiff.core.graph import Shape


def may_be_equal(ours: Shape | None, theirs: Shape | None) -> bool:
    """Whether two declared shapes can be the same but for axes of length one; unknown lengths fit any.

    >>> may_be_equal((None, 3, 8), (1, 3, 8)), may_be_equal((1, 3, 8), (1, 4, 8)), may_be_equal(None, (2,))
    (True, False, True)
    """
    if ours is None or theirs is None:
        return True
    mine, other = [n for n in ours if n != 1], [n for n in theirs if n != 1]
    if None in mine or None in other:
        return len(ours) != len(theirs) or all(
            a is None or b is None or a == b for a, b in zip(ours, theirs, strict=True)
        )
    return mine == other

"""What does a sweep say in a sentence? How many pairs part, and which faults explain them."""

from __future__ import annotations

from collections.abc import Sequence, Set

from segdiff.core.fingerprint import UNKNOWN
from segdiff.core.sweep_report import Fault, SweptPair

NAMED = 3
"""Faults that the sentence names."""


def sentence_of(pairs: Sequence[SweptPair], faults: Sequence[Fault]) -> str:
    """The verdict over all pairs in words."""
    bad = [pair for pair in pairs if pair.verdict == "diverges"]
    open_ones = [pair for pair in pairs if pair.verdict == "inconclusive"]
    total = counted(len(pairs), "pair")
    said = f"{len(bad)} of {total} diverge{'s' if len(bad) == 1 else ''}."
    if not bad and not open_ones:
        said = f"All {total} agree." if len(pairs) > 1 else "The pair agrees."
    elif not bad:
        agreeing = len(pairs) - len(open_ones)
        said = f"{agreeing} of {total} agree{'s' if agreeing == 1 else ''}."
    if open_ones:
        said += f" {counted(len(open_ones), 'pair')} could not be told."
    shared = [fault for fault in faults if len(fault.pairs) > 1 and fault.kind != UNKNOWN]
    names = {pair.name for pair in bad}, {pair.name for pair in open_ones}
    return " ".join((said, *(explains(fault, *names) for fault in shared[:NAMED])))


def explains(fault: Fault, diverging: Set[str], open_ones: Set[str] = frozenset()) -> str:
    """How many pairs a fault explains, by itself or with others; of those that could not be told, too, where
    it is in one of these.

    >>> fault = Fault("", "softmax.axis", "softmax", "Softmax", (), ("a", "b"), ("a", "b"), ())
    >>> explains(fault, {"a", "b", "c"}, {"d"})
    '1 fault explains 2 of the 3: softmax.axis at Softmax.'
    >>> explains(fault, {"a"}, {"b"})
    '1 fault explains 2 of the 2 that do not agree: softmax.axis at Softmax.'
    """
    where = f"{fault.kind} at {fault.candidate_op}"
    among = str(len(diverging))
    if not set(fault.pairs) <= diverging:
        among = f"{len(diverging | open_ones)} that do not agree"
    if len(fault.alone) == len(fault.pairs):
        return f"1 fault explains {len(fault.pairs)} of the {among}: {where}."
    by_itself = f", and explains {len(fault.alone)} of them alone" if fault.alone else ""
    return f"1 fault is in {len(fault.pairs)} of the {among}{by_itself}: {where}."


def counted(count: int, what: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

"""What could be wrong with a segment? A hypothesis: a kind, its words, and the edits that would mend it.

A *family* is a function from a case and one of its nodes to hypotheses. It is registered for the operators it
knows, and each module of this package is the home of one family.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from segdiff.core.edit import Edit, merged
from segdiff.core.graph import Op
from segdiff.diagnose.reading.case import Case


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A cause to be tested.

    ``kind`` is a stable dotted word (docs/causes.md); ``text`` one clause for a person, naming both sides:
    "Resize maps pixels by 'half_pixel' where the reference aligns the corners". ``expected`` says that the
    reference's own attributes or parameters ask for this change; otherwise it is one of the usual suspects.
    ``general`` marks what any operator can have: it is asked after all that the families know, for they have
    the better words.
    """

    kind: str
    text: str
    edits: tuple[Edit, ...]
    expected: bool = False
    general: bool = False

    @property
    def size(self) -> int:
        """How much it changes."""
        return sum(edit.size for edit in self.edits)

    def joined(self, other: Hypothesis) -> Hypothesis:
        """Both at once; the first gives the kind."""
        return Hypothesis(
            self.kind,
            f"{self.text}; and {other.text}",
            merged((*self.edits, *other.edits)),
            self.expected and other.expected,
            self.general or other.general,
        )


Family = Callable[[Case, Op], Iterable[Hypothesis]]

_FAMILIES: dict[str, list[Family]] = defaultdict(list)

ANY = "*"
"""Every operator."""

GENERAL = "general"
"""Every operator, after the families of all nodes have said what they know."""


def family(*op_types: str) -> Callable[[Family], Family]:
    """Register the decorated function for nodes of these ONNX operators (:data:`ANY`, :data:`GENERAL`)."""

    def register(function: Family) -> Family:
        for op_type in op_types:
            _FAMILIES[op_type].append(function)
        return function

    return register


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    """All that the families say of a case, node by node in program order."""
    for op in case.nodes:
        for function in (*_FAMILIES.get(op.type, ()), *_FAMILIES.get(ANY, ())):
            yield from function(case, op)
    for op in case.nodes:
        for function in _FAMILIES.get(GENERAL, ()):
            yield from function(case, op)

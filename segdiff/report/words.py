"""How is a reason told, a pair, an origin? The one place where a kind of judgement becomes words."""

from __future__ import annotations

from segdiff.core.answer import Origin, PairInfo, Reason
from segdiff.core.printable import clean
from segdiff.report.text import rel_l2

NAME = 80
"""Characters of a name in a line that holds other things, too."""

_WORDS = {
    "equal": "equal to rounding",
    "same": "not run: the same operators on both sides",
    "bounded": "equal to rounding of a function bounded by one",
    "rounding": "within the segment's own rounding",
    "tie": "a tie within rounding",
    "within": "within your thresholds",
    "unsure": "a fault cannot be told from rounding",
    "unfed": "its inputs do not fit the type it computes in",
    "misread": "right on what its input really holds: the dump has that in another layout",
    "harmless": "another number, of which nothing comes in the end",
    "crossed": "crosses your threshold",
    "differs": "differs on equal inputs",
    "choice": "picks other elements",
    "scale": "errs far more than a scale for each channel would",
    "random": "random numbers",
    "inherited": "right on the reference's inputs; the error comes from above",
    "refused": "the runtime does not take the file",
    "output": "the outputs differ, not an operator that makes them",
    "deployed": "as deployed it gives another result than as written",
}


def reason(why: Reason) -> str:
    """A reason in words; one of a kind that this table lacks is told by its detail, or by the kind."""
    if why.kind == "fault" and why.times is not None:
        return f"{why.times:.3g} times the segment's own rounding"
    if why.kind == "unmeasured":
        return why.detail or "not measured"
    return why.detail or _WORDS.get(why.kind, why.kind)


def pair(found: PairInfo) -> str:
    """A pair in one line."""
    ours, theirs = clean(found.reference, NAME), clean(found.candidate, NAME)
    sides = f"{clean(found.reference_op, NAME)} {ours!r} ↔ {clean(found.candidate_op, NAME)} {theirs!r}"
    return f"{sides}: {found.state}, isolated {rel_l2(found.isolated)}, cumulative {rel_l2(found.cumulative)}"


def origin(found: Origin) -> str:
    """An origin in one line."""
    told = f"{clean(found.pair.candidate_op, NAME)} {clean(found.pair.candidate, NAME)!r}"
    if found.pair.isolated is not None:
        told += f", rel_l2 {rel_l2(found.pair.isolated)} on equal inputs"
    if found.cause is not None:
        told += f": {clean(found.cause.kind, NAME)}, {'proven' if found.cause.proven else 'a guess'}"
    return told

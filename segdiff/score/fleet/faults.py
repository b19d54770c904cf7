"""When do two models have the same fault? When the same cause is proven at the same operators.

A fingerprint knows an origin again in one model; from model to model the place differs, and so do the names
and the numbers. What stays is the kind of the cause, the types of the operators on both sides, and which
fields a repair would change. A guess merges nothing: an origin without a proven cause is known again by its
fingerprint alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from segdiff.core.answer import Cause, Origin
from segdiff.core.fingerprint import UNKNOWN
from segdiff.core.sweep_report import Fault, SweptOrigin, SweptPair
from segdiff.finding.fingerprint import kind_in


def fault_of(origin: Origin) -> str:
    """The key of an origin's fault: kind, operators of either side, what is changed; or its fingerprint."""
    kind = kind_in(origin.cause)
    if kind == UNKNOWN:
        return origin.fingerprint or UNKNOWN
    ops = origin.pair.reference_op, origin.pair.candidate_op
    return "|".join((kind, *ops, ",".join(changed_by(origin.cause))))


def changed_by(cause: Cause | None) -> tuple[str, ...]:
    """What the edits of a cause change, without names and values: operators, attributes, operands."""
    found: set[str] = set()
    for edit in cause.edits if cause else ():
        found |= {edit.op_type} if edit.op_type else set()
        found |= {f".{name}" for name in edit.attributes}
        found |= {f"operand {place}" for place in edit.inputs}
        found |= {f"+{node.op_type}" for node in (*edit.before, *edit.nodes)}
    return tuple(sorted(found))


def faults_of(pairs: Iterable[SweptPair]) -> tuple[Fault, ...]:
    """The faults of all pairs; those in most of them first, then by their keys."""
    seen = {pair.name: dict(origins_of(pair)) for pair in pairs}
    keys = {key for found in seen.values() for key in found}
    return tuple(sorted((merged(key, seen) for key in keys), key=lambda each: (-len(each.pairs), each.key)))


def origins_of(pair: SweptPair) -> Iterator[tuple[str, SweptOrigin]]:
    """An origin of each fault of a pair, whatever the image; the first where there are several."""
    origins = [origin for image in pair.images for origin in image.origins]
    yield from ((origin.fault, origin) for origin in reversed(origins))


def merged(key: str, seen: Mapping[str, Mapping[str, SweptOrigin]]) -> Fault:
    """One fault of all the pairs that have it."""
    own = {name: found[key] for name, found in seen.items() if key in found}
    first = own[min(own)]
    known = key.count("|") >= 3
    return Fault(
        key,
        key.split("|")[0] if known else UNKNOWN,
        first.reference_op,
        first.candidate_op,
        tuple(filter(None, key.split("|")[3].split(","))) if known else (),
        tuple(sorted(own)),
        tuple(sorted(name for name in own if len(seen[name]) == 1)),
        tuple(sorted({origin.fingerprint for origin in own.values()})),
    )

"""Does a file hold a report of segdiff? By the JSON Schema that docs/schema has; what it uses of it is here.

A file that fits can be read without a further question: every field has the type that its reader counts on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LARGEST = 1 << 63
"""A whole number beyond this is none that a report has: sizes, counts and shapes all fit."""

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST,
    "number": lambda value: (
        (isinstance(value, float) and math.isfinite(value))
        or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST)
    ),
}


@cache
def schema() -> dict[str, Any]:
    """The schema of the reports."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))
    return found


def misfit(report: Any) -> str | None:
    """Where a report is not what the schema says, and how; None where it fits."""
    return next(_misfits(report, schema(), ""), None)


def _misfits(value: Any, rule: Mapping[str, Any], place: str) -> Iterator[str]:
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    if "anyOf" in rule:
        found = [next(_misfits(value, each, place), None) for each in rule["anyOf"]]
        if all(found):
            yield found[0] or ""
        return
    where = place.removeprefix(".") or "the file"
    kinds = rule.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(TYPES[kind](value) for kind in kinds):
        yield f"{where} is not {' or '.join(kinds)}"
        return
    if not _allowed(value, rule):
        yield f"{where} has a value that is not allowed"
    if isinstance(value, list) and "items" in rule:
        for number, item in enumerate(value):
            yield from _misfits(item, rule["items"], f"{place}[{number}]")
    if isinstance(value, dict):
        yield from _fields(value, rule, place, where)
    if "if" in rule:
        branch = "else" if any(_misfits(value, rule["if"], place)) else "then"
        yield from _misfits(value, rule[branch], place)


def _fields(value: dict[str, Any], rule: Mapping[str, Any], place: str, where: str) -> Iterator[str]:
    for name in rule.get("required", ()):
        if name not in value:
            yield f"{where} lacks {name!r}"
    known = rule.get("properties", {})
    others = rule.get("additionalProperties", {})
    for name, item in value.items():
        yield from _misfits(item, known.get(name, others), f"{place}.{name}" if name in known else place)


def _allowed(value: Any, rule: Mapping[str, Any]) -> bool:
    """Whether a value is among those listed, within bounds, of the right pattern."""
    if "const" in rule and value != rule["const"]:
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "pattern" in rule and isinstance(value, str) and not re.search(rule["pattern"], value):
        return False
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return not number or rule.get("minimum", value) <= value <= rule.get("maximum", value)

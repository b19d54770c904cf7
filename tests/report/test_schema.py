"""The JSON Schema of the reports: it says what today's are, still takes yesterday's, and refuses others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from segdiff.core.answer import Report
from tests.report import reports
from tests.report.test_terminal import ALL
from tests.schema import PROMISED, SCHEMA, TODAY, check

DOCS = Path(__file__).parents[2] / "docs"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


WRITTEN = [make for make in ALL if make is not reports.not_finite]
"""That one holds a share that is no number, which no run makes and JSON cannot say."""


@pytest.mark.parametrize("make", WRITTEN)
def test_it_fits_every_report(make: Callable[[], Report]) -> None:
    check(json.loads(make().to_json()))


def first_day(value: Any, schema: Any = SCHEMA["$defs"]["located"]) -> Any:
    """A report without the fields that were added later."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
        return first_day(value, schema) if value is not None else None
    if isinstance(value, dict) and "properties" in schema:
        kept = {name: value[name] for name in schema["required"]}
        return {name: first_day(item, schema["properties"][name]) for name, item in kept.items()}
    if isinstance(value, list) and "items" in schema:
        return [first_day(item, schema["items"]) for item in value]
    return value


def test_it_takes_a_report_of_the_first_day() -> None:
    """Before there were states of pairs, sentences, hashes."""
    old = json.loads(reports.explained().to_json())

    old = first_day(old, SCHEMA["$defs"]["located"])
    assert "sentence" not in old and "state" not in old["pairs"][0] and "confirmed" not in old["first"]
    assert PROMISED.is_valid(old) and not TODAY.is_valid(old)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"verdict": "fine"},
        {"coverage": {"reference": 2.0, "candidate": 1.0}},
        {"pairs": None},
        {"outputs": [{}]},
        {"verdict": "error"},
    ],
)
def test_it_refuses_what_is_none(change: dict[str, Any]) -> None:
    assert not PROMISED.is_valid(json.loads(reports.report().to_json()) | change)


def test_the_docs_name_every_field() -> None:
    """docs/json.md is the contract for people; the schema must not know a field that it does not have."""
    told = set(re.findall(r"`([a-z_0-9]+)`", (DOCS / "json.md").read_text()))
    told |= {"schema", "verdict", "error", "message", "type"}

    def fields(schema: Any) -> set[str]:
        if isinstance(schema, list):
            return set().union(*map(fields, schema)) if schema else set()
        if not isinstance(schema, dict):
            return set()
        return set(schema.get("properties", ())) | set().union(*map(fields, schema.values()))

    assert fields(SCHEMA) <= told

"""Does a report say what the schema promises? Every report that a test makes is asked that."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = json.loads((Path(__file__).parents[1] / "segdiff/report/schema.json").read_text())


def strict(schema: Any) -> Any:
    """The schema as it is for a report of today: every field is there, and none that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if "required" in schema and "properties" in schema and "$defs" not in schema:
        sometimes = schema.get("$comment", "").removeprefix("sometimes:").split()
        made["required"] = [name for name in schema["properties"] if name not in sometimes]
        made["additionalProperties"] = False
    return made


PROMISED = Draft202012Validator(SCHEMA)
TODAY = Draft202012Validator(strict(SCHEMA))


def check(report: Any) -> None:
    """Raise AssertionError where a report is not what the schema says."""
    found = next(TODAY.iter_errors(report), None)
    assert found is None, f"{found.json_path}: {found.message}"


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose answer has to fit the schema as JSON."""

    @functools.wraps(function)
    def asked(*args: Any, **options: Any) -> Any:
        answer = function(*args, **options)
        check(json.loads(answer.to_json()))
        return answer

    return asked


def check_every_answer() -> None:
    """From now on every answer that this process makes is checked; before anybody imports the functions."""
    from segdiff.finding import locate, locate_shapes, repair
    from segdiff.score import evaluate, score

    locate.locate = checked(locate.locate)
    repair.repair = checked(repair.repair)
    locate_shapes.locate_shapes = checked(locate_shapes.locate_shapes)
    evaluate.evaluate = checked(evaluate.evaluate)
    score.score = checked(score.score)
